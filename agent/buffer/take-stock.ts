import type { Log } from '../../base/log.ts';
import type { BufferDatabase } from './database.ts';
import { isDiskFault } from './disk-fault.ts';
import { readHighWater } from './high-water.ts';
import { type Losses, recordLosses } from './losses.ts';
import {
  asLost,
  countSegments,
  type DamagedRow,
  explain,
  missingFrom,
  progressOf,
} from './missing.ts';

/**
 * Looks through a database that could be opened without complaint: sets every damaged row aside, and
 * accounts for these and for what is missing altogether. What of a damaged row is right nobody
 * knows; the witness does, as long as it is of the same moment as the database.
 */
export function takeStock(db: BufferDatabase, witnessPath: string, losses: Losses, log: Log): void {
  const damaged = setDamagedAside(db);
  const witness = readHighWater(witnessPath);
  if (witness === 'unreadable') {
    log.warn({ path: witnessPath }, 'cannot tell whether commits are missing: the file is damaged');
  }
  if (typeof witness === 'string' || progressOf(db, witness) === 'ahead') {
    recordLosses(losses, log, 'damaged', damaged.map(asLost));
    return;
  }
  const missing = missingFrom(db, witness);
  const explained = missing.map((lost) => explain(lost, damaged));
  recordLosses(
    losses,
    log,
    'damaged',
    explained.filter((lost) => lost !== undefined),
  );
  const rest = missing.filter((_lost, index) => explained[index] === undefined);
  const isByDamage = damaged.length > missing.length - rest.length;
  recordLosses(losses, log, isByDamage ? 'damaged' : 'vanished', rest);
  if (!isByDamage) losses.vanishedSegments += countSegments(rest);
}

/** All of them or none: a disk that is full leaves them to whoever reads them. */
function setDamagedAside(db: BufferDatabase): DamagedRow[] {
  const damaged = [...db.damagedSegments()];
  try {
    db.transaction(() => {
      for (const { id } of damaged) db.setAside(id);
    });
    return damaged;
  } catch (error) {
    if (isDiskFault(error)) return [];
    throw error;
  }
}

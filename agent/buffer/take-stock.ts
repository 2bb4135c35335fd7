import type { Log } from '../../base/log.ts';
import type { BufferDatabase } from './database.ts';
import { isDiskFault } from './disk-fault.ts';
import { readHighWater } from './high-water.ts';
import { type Losses, type LostSegment, recordLosses } from './losses.ts';
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
  const { explained, unexplained } = sorted(missingFrom(db, witness), damaged);
  recordLosses(losses, log, 'damaged', explained);
  const reason = damaged.length > explained.length ? 'damaged' : 'vanished';
  recordLosses(losses, log, reason, unexplained);
  if (reason === 'vanished') losses.vanishedSegments += countSegments(unexplained);
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

function sorted(missing: readonly LostSegment[], damaged: readonly DamagedRow[]) {
  const explained: LostSegment[] = [];
  const unexplained: LostSegment[] = [];
  for (const lost of missing) {
    const rows = explain(lost, damaged);
    if (rows === undefined) unexplained.push(lost);
    else explained.push(...rows);
  }
  return { explained, unexplained };
}

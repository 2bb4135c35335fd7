import type { Log } from '../../base/log.ts';
import type { BufferDatabase } from './database.ts';
import { isDiskFault } from './disk-fault.ts';
import { readHighWater } from './high-water.ts';
import { type Losses, type LostSegment, recordLosses } from './losses.ts';
import { asLost, countSegments, explain, missingFrom, progressOf } from './missing.ts';
import type { PackTable } from './pack-table.ts';
import { lostPack } from './packs.ts';
import type { SegmentTable } from './segment-table.ts';

/** What a database holds when it is opened. */
export interface Stock {
  segments: ReturnType<SegmentTable['waiting']>;
  packs: ReturnType<PackTable['heads']>;
  parked: ReturnType<PackTable['heads']>;
  /** The highest id that any segment has had; 0: none. */
  lastId: number;
}

/**
 * Looks through a database that could be opened without complaint: sets every damaged row aside,
 * accounts for these and for what is missing altogether, and says what is there.
 *
 * @throws errors of SQLite when the disk cannot be read; DamagedBufferError
 */
export function takeStock(
  db: BufferDatabase,
  witnessPath: string,
  losses: Losses,
  log: Log,
): Stock {
  account(db, witnessPath, losses, log);
  forgetHeads(db);
  return {
    segments: db.segments.waiting(),
    packs: db.packs.heads(),
    parked: db.parked.heads(),
    lastId: db.lastSegmentId(),
  };
}

/** Those of former runs say nothing any more, and do no harm where a full disk keeps them. */
function forgetHeads(db: BufferDatabase): void {
  try {
    db.forgetHeads();
  } catch (error) {
    if (!isDiskFault(error)) throw error;
  }
}

/**
 * What of a damaged row is right nobody knows; the witness does, as long as it is of the same moment
 * as the database.
 */
function account(db: BufferDatabase, witnessPath: string, losses: Losses, log: Log): void {
  const damaged = setDamagedAside(db);
  const witness = readHighWater(witnessPath);
  if (witness === 'unreadable') {
    log.warn({ path: witnessPath }, 'cannot tell whether commits are missing: the file is damaged');
  }
  if (typeof witness === 'string' || progressOf(db, witness) === 'ahead') {
    recordLosses(losses, log, 'damaged', damaged);
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

/**
 * All of them or none: a disk that is full leaves them to whoever reads them.
 *
 * @returns them as they describe themselves
 */
function setDamagedAside(db: BufferDatabase): LostSegment[] {
  const segments = [...db.segments.damaged()];
  const packs = [db.packs, db.parked].map((table) => ({ table, damaged: [...table.damaged()] }));
  try {
    db.transaction(() => {
      for (const { id } of segments) db.segments.setAside(id);
      for (const { table, damaged } of packs) for (const { key } of damaged) table.setAside(key);
    });
  } catch (error) {
    if (isDiskFault(error)) return [];
    throw error;
  }
  return [...segments.map(asLost), ...packs.flatMap(({ damaged }) => damaged.map(lostPack))];
}

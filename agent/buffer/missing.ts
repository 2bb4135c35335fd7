import type { Log } from '../../base/log.ts';
import { REMOVALS } from './database.ts';
import { type HighWater, readHighWater } from './high-water.ts';
import { type Losses, type LostPositions, type LostSegment, recordLosses } from './losses.ts';
import type { WaitingRange } from './waiting-ledger.ts';

/** The database as far as it matters here. */
interface StoredRows {
  /** Samples of all segments. */
  samples(): number;
  heads(): readonly { run: string; tenant: string; last: number }[];
  /** Segments of a range that are there, ascending. */
  segmentsIn(tenant: string, range: LostPositions): { sequence: number; samples: number }[];
}

/** Accounts for what is missing from a database that could be opened without complaint. */
export function reportVanished(
  rows: StoredRows,
  witnessPath: string,
  losses: Losses,
  log: Log,
): void {
  const witness = readHighWater(witnessPath);
  if (witness === 'unreadable') {
    log.warn({ path: witnessPath }, 'cannot tell whether commits are missing: the file is damaged');
  }
  if (typeof witness === 'string') return;
  const lost = missingFrom(rows, witness);
  recordLosses(losses, log, 'vanished', lost);
  losses.vanishedSegments += countSegments(lost);
}

/**
 * What the witness says waits and the database does not hold. A witness that a power cut has left
 * behind the database proves nothing; one that is of the same moment has to agree on the number of
 * samples; and a database that is behind the witness has lost commits.
 */
export function missingFrom(rows: StoredRows, witness: HighWater): LostSegment[] {
  const ranges = Object.entries(witness.waiting).flatMap(([tenant, waiting]) =>
    waiting.map((range) => ({ tenant, range })),
  );
  const expected = ranges.reduce((sum, { range }) => sum + range.samples, 0);
  const { isBehind, isAhead } = progressOf(rows, witness);
  if (!isBehind && (isAhead || rows.samples() >= expected)) return [];
  return ranges.flatMap(({ tenant, range }) => {
    const found = rows.segmentsIn(tenant, range);
    return missingOf(tenant, range, found);
  });
}

/** What is missing of one range when `found` is there, ascending. */
export function missingOf(
  tenant: string,
  range: WaitingRange,
  found: readonly { sequence: number; samples: number }[],
): LostSegment[] {
  // A row that claims more than there can be is damaged, and would hide what is missing.
  const plausible = found.filter((segment) => segment.samples <= range.samples);
  const samples = range.samples - plausible.reduce((sum, segment) => sum + segment.samples, 0);
  if (samples <= 0) return [];
  const { oldest, newest } = range;
  return [{ tenant, samples, oldest, newest, positions: gapsIn(range, plausible) }];
}

/** The sequences of a range that are not among those found, which ascend. */
export function gapsIn(
  { run, first, last }: LostPositions,
  found: Iterable<{ sequence: number }>,
): LostPositions[] {
  const gaps: LostPositions[] = [];
  let next = first;
  for (const { sequence } of found) {
    if (sequence > next) gaps.push({ run, first: next, last: sequence - 1 });
    next = sequence + 1;
  }
  if (next <= last) gaps.push({ run, first: next, last });
  return gaps;
}

/** The database beside the witness, by the counters that grow with every commit of a run. */
function progressOf(
  rows: StoredRows,
  { run, tenants, removals }: HighWater,
): { isBehind: boolean; isAhead: boolean } {
  const heads = rows.heads().filter((head) => head.run === run);
  const stored = new Map(heads.map(({ tenant, last }) => [tenant, last]));
  const witnessed = new Map([...Object.entries(tenants), [REMOVALS, removals]]);
  return {
    isBehind: witnessed.entries().some(([name, last]) => (stored.get(name) ?? 0) < last),
    isAhead: stored.entries().some(([name, last]) => (witnessed.get(name) ?? 0) < last),
  };
}

/** How many segments the ranges hold. */
export function countSegments(lost: readonly LostSegment[]): number {
  const positions = lost.flatMap((segment) => segment.positions ?? []);
  return positions.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

import { REMOVALS } from './database.ts';
import type { HighWater } from './high-water.ts';
import { type LostPositions, type LostSegment, union } from './losses.ts';
import type { WaitingRange } from './waiting-ledger.ts';

/** The database as far as it matters here. */
interface StoredRows {
  /** Samples of all segments. */
  samples(): number;
  heads(): readonly { run: string; tenant: string; last: number }[];
  /** Segments of a range that are there, ascending. */
  segmentsIn(tenant: string, range: LostPositions): { sequence: number; samples: number }[];
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
  const progress = progressOf(rows, witness);
  if (progress === 'ahead') return [];
  if (progress === 'equal' && rows.samples() >= expected) return [];
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
  const samples = range.samples - found.reduce((sum, segment) => sum + segment.samples, 0);
  if (samples <= 0) return [];
  const { oldest, newest } = range;
  return [{ tenant, samples, oldest, newest, positions: gapsIn(range, found) }];
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

/**
 * A loss with the times of the damaged rows that account for all of it; undefined when none do. What
 * of a damaged row is right nobody knows: it counts when its times fit, first where it stands, then
 * wherever it says it stands.
 */
export function explain(
  lost: LostSegment,
  damaged: readonly LostSegment[],
): LostSegment | undefined {
  const fitting = damaged.filter((row) => lost.oldest <= row.oldest && row.newest <= lost.newest);
  const inPlace = fitting.filter(
    ({ tenant, positions }) =>
      tenant === lost.tenant && positions?.some((range) => isWithin(range, lost.positions)),
  );
  for (const rows of [inPlace, fitting]) {
    const samples = rows.reduce((sum, row) => sum + row.samples, 0);
    if (samples === lost.samples) return { ...lost, likely: union(rows) };
  }
  return undefined;
}

function isWithin(
  { run, first, last }: LostPositions,
  ranges: readonly LostPositions[] = [],
): boolean {
  return ranges.some((range) => range.run === run && range.first <= first && last <= range.last);
}

/** A damaged segment as its row describes it: any part of that may be wrong. */
export function asLost(row: {
  tenant: string;
  run: string;
  sequence: number;
  samples: number;
  oldest: number;
  newest: number;
}): LostSegment {
  const { tenant, run, sequence, samples, oldest, newest } = row;
  const positions = [{ run, first: sequence, last: sequence }];
  return { tenant, samples, oldest, newest, positions };
}

/** The database beside the witness, by the counters that grow with every commit of a run. */
export function progressOf(
  rows: Pick<StoredRows, 'heads'>,
  { run, tenants, removals }: HighWater,
): 'behind' | 'equal' | 'ahead' {
  const heads = rows.heads().filter((head) => head.run === run);
  const stored = new Map(heads.map(({ tenant, last }) => [tenant, last]));
  const witnessed = new Map([...Object.entries(tenants), [REMOVALS, removals]]);
  const isBehind = witnessed.entries().some(([name, last]) => (stored.get(name) ?? 0) < last);
  if (isBehind) return 'behind';
  const isAhead = stored.entries().some(([name, last]) => (witnessed.get(name) ?? 0) < last);
  return isAhead ? 'ahead' : 'equal';
}

/** How many segments the ranges hold. */
export function countSegments(lost: readonly LostSegment[]): number {
  const positions = lost.flatMap((segment) => segment.positions ?? []);
  return positions.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

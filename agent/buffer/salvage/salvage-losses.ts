import { REMOVALS } from '../database.ts';
import type { HighWater } from '../high-water.ts';
import type { LostPositions, LostSegment } from '../losses.ts';
import { asLost, explain, gapsIn, missingOf } from '../missing.ts';
import type { CarriedOver } from './carry-over.ts';
import type { Position } from './positions.ts';
import type { HeadRow } from './row-shapes.ts';

/** Whether the witness lists a segment as waiting. */
export function waitsIn(
  witness: HighWater | undefined,
  { tenant, run, sequence }: { tenant: string; run: string; sequence: number },
): boolean {
  const ranges = witness?.waiting[tenant] ?? [];
  return ranges.some(
    (range) => range.run === run && range.first <= sequence && sequence <= range.last,
  );
}

type Accounted = Pick<CarriedOver, 'settled' | 'unreadable' | 'unreadablePacks'>;

/**
 * What was stored and could not be carried over. The witness knows what waited when it was written;
 * of what came later, the rows themselves tell as far as they can be read: `damaged`; and of what
 * not even the row is left, only the sequence numbers and the time of storing are: `vanished`.
 */
export function lostWith(
  { settled, unreadable, unreadablePacks }: Accounted,
  heads: readonly HeadRow[],
  witness: HighWater | undefined,
  nowMs: number,
): { damaged: LostSegment[]; vanished: LostSegment[] } {
  const rows = unreadable.map(({ best }) => best);
  const damaged = [...rows.map(asLost), ...unreadablePacks];
  const byTenant = Map.groupBy(settled, ({ tenant }) => tenant);
  const waiting = Object.entries(witness?.waiting ?? {}).flatMap(([tenant, ranges]) =>
    ranges.flatMap((range) => {
      const found = within(byTenant.get(tenant) ?? [], range);
      return missingOf(tenant, range, found).map((lost) => explain(lost, damaged) ?? lost);
    }),
  );
  const later = rows.filter((row) => isLater(witness, row));
  const vanished = laterRanges(heads, settled, witness).flatMap(({ tenant, range }) => {
    const known = [
      ...(byTenant.get(tenant) ?? []),
      ...later.filter((row) => row.tenant === tenant),
    ];
    const positions = gapsIn(range, within(known, range));
    if (positions.length === 0) return [];
    return [{ tenant, samples: 0, oldest: witness!.writtenAt, newest: nowMs, positions }];
  });
  return { damaged: [...waiting, ...later.map(asLost)], vanished };
}

interface Sequence {
  run: string;
  sequence: number;
  samples: number;
}

function within<Row extends Sequence>(rows: readonly Row[], range: LostPositions): Row[] {
  const { run, first, last } = range;
  const found = rows.filter(
    (row) => row.run === run && row.sequence >= first && row.sequence <= last,
  );
  return found.sort((a, b) => a.sequence - b.sequence);
}

/** Whether a row was stored after the witness was written; without one, any may have been. */
function isLater(witness: HighWater | undefined, row: Position['best']): boolean {
  if (row.standing !== 'live') return false;
  if (witness === undefined) return true;
  return row.run === witness.run && row.sequence > (witness.tenants[row.tenant] ?? 0);
}

/** What the run committed after the witness was written, by tenant. */
function laterRanges(
  heads: readonly HeadRow[],
  settled: CarriedOver['settled'],
  witness: HighWater | undefined,
): { tenant: string; range: LostPositions }[] {
  if (witness === undefined) return [];
  const { run } = witness;
  const lasts = new Map(Object.entries(witness.tenants));
  const stored = [...heads.map((head) => ({ ...head, sequence: head.last })), ...settled].filter(
    (row) => row.run === run && row.tenant !== REMOVALS,
  );
  for (const { tenant, sequence } of stored) {
    lasts.set(tenant, Math.max(sequence, lasts.get(tenant) ?? 0));
  }
  return Array.from(lasts, ([tenant, last]) => {
    return { tenant, range: { run, first: (witness.tenants[tenant] ?? 0) + 1, last } };
  });
}

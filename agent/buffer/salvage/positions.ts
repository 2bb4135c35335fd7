import type { FoundSegment, Standing } from './buffer-image.ts';

/** One position and the rows that may be what was stored there, the likeliest first. */
export interface Position {
  rows: FoundSegment[];
  best: FoundSegment;
}

const RANK: Record<Standing, number> = { live: 0, guess: 1, free: 2 };

/**
 * The positions in the order in which they were stored: runs one after the other, in each by
 * sequence. The ids are no part of the checksum; one that is damaged must not move its segment.
 *
 * @param isExpected tells which rows of pages that were given back are wanted all the same
 */
export function positionsInOrder(
  segments: readonly FoundSegment[],
  isExpected: (segment: FoundSegment) => boolean,
): Position[] {
  const byPosition = new Map<string, FoundSegment[]>();
  for (const segment of segments) {
    if (segment.standing === 'free' && !isExpected(segment)) continue;
    const { run, tenant, sequence } = segment;
    const key = `${run}\0${tenant}\0${sequence}`;
    const known = byPosition.get(key);
    if (known === undefined) byPosition.set(key, [segment]);
    else known.push(segment);
  }
  const positions = Array.from(byPosition.values(), (rows) => {
    rows.sort((a, b) => RANK[a.standing] - RANK[b.standing] || a.version - b.version);
    return { rows, best: rows[0]! };
  });
  const runs = runsInOrder(positions);
  return positions.sort(
    ({ best: a }, { best: b }) =>
      runs.get(a.run)! - runs.get(b.run)! || a.sequence - b.sequence || a.id - b.id,
  );
}

/** Numbers the runs by the id in their middle: a damaged one at either end would mislead. */
function runsInOrder(positions: readonly Position[]): Map<string, number> {
  const byRun = Map.groupBy(positions, ({ best }) => best.run);
  const middles = Array.from(byRun, ([run, members]) => {
    const ids = members.map(({ best }) => best.id).sort((a, b) => a - b);
    return { run, middle: ids[Math.floor(ids.length / 2)]! };
  });
  middles.sort((a, b) => a.middle - b.middle);
  return new Map(middles.map(({ run }, index) => [run, index]));
}

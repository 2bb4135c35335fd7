import type { PositionRange, PositionSet } from '../../proto/position-ranges.ts';

/** How much of a batch has been answered for already. */
export function coverage(
  answered: PositionSet,
  positions: readonly PositionRange[],
): 'none' | 'some' | 'all' {
  const found = new Set(positions.map((range) => answered.coverage(range)));
  if (found.has('some') || found.size > 1) return 'some';
  return found.has('all') ? 'all' : 'none';
}

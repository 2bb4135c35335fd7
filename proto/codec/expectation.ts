import type { SeriesState } from './series-state.ts';

/**
 * Whether a member is likely to have a sample in a block: it has not missed too often, no stale
 * marker ended it, and no earlier block at this timestamp had it (a scrape may come in two parts).
 *
 * @param firstBlock number of the first block of the group at this timestamp
 */
export function isExpected(state: SeriesState, series: number, firstBlock: number): boolean {
  return state.lives[series]! > 0 && state.lastBlocks[series]! < firstBlock;
}

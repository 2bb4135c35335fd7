import { assert } from '../base/assert.ts';

/** Segments first..last (both included) that one run of an agent wrote for one tenant. */
export interface PositionRange {
  run: bigint;
  first: number;
  last: number;
}

/** What of `ranges` is in none of `taken`. */
export function withoutPositions(
  ranges: Iterable<PositionRange>,
  taken: Iterable<PositionRange>,
): PositionRange[] {
  let left = [...ranges];
  for (const { run, first, last } of taken) {
    left = left.flatMap((range) => {
      if (range.run !== run || range.last < first || last < range.first) return [range];
      const before = { run, first: range.first, last: first - 1 };
      const after = { run, first: last + 1, last: range.last };
      return [before, after].filter((part) => part.first <= part.last);
    });
  }
  return left;
}

/**
 * A set of positions: per run, ranges in ascending order that neither touch nor overlap. Segment
 * sequences are dense per run and tenant, so a set that grows in order stays one range a run.
 */
export class PositionSet {
  readonly #runs = new Map<bigint, { first: number; last: number }[]>();

  add({ run, first, last }: PositionRange): void {
    assert(first <= last, 'a range of positions ends before it starts');
    const kept: { first: number; last: number }[] = [];
    const grown = { first, last };
    for (const range of this.#runs.get(run) ?? []) {
      if (range.last + 1 < grown.first || grown.last + 1 < range.first) {
        kept.push(range);
      } else {
        grown.first = Math.min(grown.first, range.first);
        grown.last = Math.max(grown.last, range.last);
      }
    }
    kept.push(grown);
    kept.sort((a, b) => a.first - b.first);
    this.#runs.set(run, kept);
  }

  /** How much of a range the set holds. */
  coverage({ run, first, last }: PositionRange): 'none' | 'some' | 'all' {
    for (const range of this.#runs.get(run) ?? []) {
      if (range.first <= first && last <= range.last) return 'all';
      if (range.first <= last && first <= range.last) return 'some';
    }
    return 'none';
  }

  *ranges(): Generator<PositionRange> {
    for (const [run, ranges] of this.#runs) {
      for (const { first, last } of ranges) yield { run, first, last };
    }
  }

  /**
   * Forgets the runs that were added first, and of each run the lowest ranges: every eviction at
   * the agent leaves a gap, so a run of a year could otherwise have a million of them.
   */
  bound({ runsMax, rangesMax }: { runsMax: number; rangesMax: number }): void {
    for (const [run, ranges] of this.#runs) {
      if (this.#runs.size > runsMax) this.#runs.delete(run);
      else if (ranges.length > rangesMax) ranges.splice(0, ranges.length - rangesMax);
    }
  }
}

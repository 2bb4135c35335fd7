import { assert } from '../base/assert.ts';

/** Segments first..last (both included) that one run of an agent wrote for one tenant. */
export interface PositionRange {
  run: bigint;
  first: number;
  last: number;
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

  /** Forgets the runs that were added first until at most `runsMax` are left. */
  forgetOldRuns(runsMax: number): void {
    for (const run of this.#runs.keys()) {
      if (this.#runs.size <= runsMax) return;
      this.#runs.delete(run);
    }
  }
}

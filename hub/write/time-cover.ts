import type { TimeRange } from '../../proto/time-range.ts';

/** A query looks back so far: a shorter gap is none to it. Longer than most scrape intervals. */
export const GAP_MS = 300_000;
const RANGES_MAX = 64;

/** The times of which there are samples, as ranges that are more than GAP_MS apart. */
export class TimeCover {
  /** Ascending. */
  readonly #ranges: TimeRange[] = [];

  /** The newest time; -∞: there is none. */
  get newest(): number {
    return this.#ranges.at(-1)?.newest ?? Number.NEGATIVE_INFINITY;
  }

  /** Adds a time. */
  add(timestamp: number): void {
    const ranges = this.#ranges;
    let at = ranges.length - 1;
    while (at >= 0 && timestamp < ranges[at]!.oldest - GAP_MS) at--;
    const range = ranges[at];
    if (range === undefined || timestamp > range.newest + GAP_MS) {
      ranges.splice(at + 1, 0, { oldest: timestamp, newest: timestamp });
      // An old gap that is forgotten counts as covered, as all did before gaps were looked at.
      if (ranges.length > RANGES_MAX) this.#join(0);
      return;
    }
    range.oldest = Math.min(range.oldest, timestamp);
    range.newest = Math.max(range.newest, timestamp);
    const before = ranges[at - 1];
    if (before !== undefined && range.oldest - before.newest <= GAP_MS) this.#join(at - 1);
  }

  /** The gap that a time is in, its ends not included and maybe ±∞; undefined: it is covered. */
  gapAt(timestamp: number): TimeRange | undefined {
    const ranges = this.#ranges;
    let at = ranges.length - 1;
    while (at >= 0 && timestamp < ranges[at]!.oldest) at--;
    const oldest = ranges[at]?.newest ?? Number.NEGATIVE_INFINITY;
    if (timestamp <= oldest) return undefined;
    return { oldest, newest: ranges[at + 1]?.oldest ?? Number.POSITIVE_INFINITY };
  }

  /** Makes one of range `at` and the one behind it. */
  #join(at: number): void {
    const [next] = this.#ranges.splice(at + 1, 1);
    this.#ranges[at]!.newest = next!.newest;
  }
}

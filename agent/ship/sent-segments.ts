/** Of more ranges than this the two with the least between them are taken for one. */
const RANGES_MAX = 64;

/** Ids of segments that have been in a batch, so that the hub may have them although nobody knows. */
export class SentSegments {
  /** Ascending; they neither overlap nor touch. */
  #ranges: { first: number; last: number }[];

  /** @param storedBefore highest segment that an earlier run left: it may have been sent */
  constructor(storedBefore: number) {
    this.#ranges = [{ first: 0, last: storedBefore }];
  }

  /** The segments from `first` to `last` are in a batch. */
  add(first: number, last: number): void {
    const isApart = (range: { first: number; last: number }): boolean =>
      range.last + 1 < first || last + 1 < range.first;
    const joined = this.#ranges.filter((range) => !isApart(range));
    const grown = {
      first: Math.min(first, ...joined.map((range) => range.first)),
      last: Math.max(last, ...joined.map((range) => range.last)),
    };
    const ranges = [...this.#ranges.filter(isApart), grown];
    this.#ranges = ranges.sort((one, other) => one.first - other.first);
    if (ranges.length > RANGES_MAX) this.#joinNearest();
  }

  /**
   * Whether one of the segments from `first` to `last` may have been sent. Rather too often than not
   * often enough: then refused samples may be taken for redelivered ones, and not the other way.
   */
  mayHold(first: number, last: number): boolean {
    return this.#ranges.some((range) => range.first <= last && first <= range.last);
  }

  /** The ids in between are mostly those of other tenants. */
  #joinNearest(): void {
    const ranges = this.#ranges;
    const gap = (at: number): number => ranges[at + 1]!.first - ranges[at]!.last;
    let nearest = 0;
    for (let at = 1; at < ranges.length - 1; at++) if (gap(at) < gap(nearest)) nearest = at;
    const { first } = ranges[nearest]!;
    const { last } = ranges[nearest + 1]!;
    ranges.splice(nearest, 2, { first, last });
  }
}

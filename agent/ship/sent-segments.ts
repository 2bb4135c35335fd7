/** More ranges than this are taken together: then more is said to have been sent than was. */
const RANGES_MAX = 64;

/** Ids of segments that have been in a batch, so that the hub may have them although nobody knows. */
export class SentSegments {
  /** Ascending where they were sent in order; they may overlap. */
  readonly #ranges: { first: number; last: number }[];

  /** @param storedBefore highest segment that an earlier run left: it may have been sent */
  constructor(storedBefore: number) {
    this.#ranges = [{ first: 0, last: storedBefore }];
  }

  /** The segments from `first` to `last` are in a batch. */
  add(first: number, last: number): void {
    const before = this.#ranges.at(-1)!;
    if (first <= before.last + 1 && first >= before.first) {
      before.last = Math.max(before.last, last);
      return;
    }
    this.#ranges.push({ first, last });
    if (this.#ranges.length <= RANGES_MAX) return;
    const [one, other] = this.#ranges.splice(1, 2);
    const joined = {
      first: Math.min(one!.first, other!.first),
      last: Math.max(one!.last, other!.last),
    };
    this.#ranges.splice(1, 0, joined);
  }

  /** Whether one of the segments from `first` to `last` may have been sent. */
  mayHold(first: number, last: number): boolean {
    return this.#ranges.some((range) => range.first <= last && first <= range.last);
  }
}

import type { SampleColumns } from '../../proto/sample-columns.ts';

/** So many stripes of series make a part, where there are enough of them. */
const STRIPES_PER_PART = 4;
/** Series of one target lie together and cost less together; longer stripes bring no more. */
const STRIPE_MAX = 1024;

/**
 * Parts series, by their numbers, in stripes: 0 1 2 0 1 2 … So each part has something of
 * everything: of both replicas of an HA pair, above all, since the hub judges by the times of one
 * which samples of the other are missing.
 */
export class SeriesParts {
  readonly count: number;
  readonly #stripe: number;

  /** @param series about how many numbers there are */
  constructor(count: number, series: number) {
    this.count = count;
    const stripe = Math.floor(series / (count * STRIPES_PER_PART));
    this.#stripe = Math.max(1, Math.min(STRIPE_MAX, stripe));
  }

  partOf(number: number): number {
    return Math.floor(number / this.#stripe) % this.count;
  }
}

/** Rows [from, to) of columns that belong to one part. */
export interface Run {
  part: number;
  from: number;
  to: number;
}

/** The rows in their order: series that are scraped together have ids side by side. */
export function* runsOf(
  { ids, count }: SampleColumns,
  partOf: (id: number) => number,
): Generator<Run> {
  let from = 0;
  let part = count === 0 ? 0 : partOf(ids[0]!);
  for (let row = 1; row < count; row++) {
    const next = partOf(ids[row]!);
    if (next === part) continue;
    yield { part, from, to: row };
    from = row;
    part = next;
  }
  if (count > 0) yield { part, from, to: count };
}

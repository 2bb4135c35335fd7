import type { SampleColumns } from '../../proto/sample-columns.ts';

/** Rows [from, to) of columns, whose series belong to one range. */
export interface Run {
  range: number;
  from: number;
  to: number;
}

/** Ranges of series by their ids, numbered from 0. */
export class SeriesRanges {
  readonly #firstIds: readonly number[];

  /** @param firstIds the lowest id of each range, ascending; ids below belong to the first */
  constructor(firstIds: readonly number[]) {
    this.#firstIds = firstIds;
  }

  get count(): number {
    return this.#firstIds.length;
  }

  /** The rows in order: series that are scraped together have ids side by side, so runs are long. */
  *runs({ ids, count }: SampleColumns): Generator<Run> {
    for (let from = 0, to = 0; from < count; from = to) {
      const range = this.#rangeOf(ids[from]!);
      const firstId = range === 0 ? 0 : this.#firstIds[range]!;
      const endId = this.#firstIds[range + 1] ?? Number.POSITIVE_INFINITY;
      to = from + 1;
      while (to < count && ids[to]! >= firstId && ids[to]! < endId) to++;
      yield { range, from, to };
    }
  }

  #rangeOf(id: number): number {
    let low = 0;
    let high = this.#firstIds.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#firstIds[middle]! <= id) low = middle;
      else high = middle;
    }
    return low;
  }
}

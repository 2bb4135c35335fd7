import { SeriesTable } from '../agent/series/series-table.ts';

const SERIES_MAX = 1_000_000;

/**
 * What has been seen of each series, in little memory: how many samples, the newest of them, and a
 * digest over timestamps and value bits in their order. Two of them agree when the same samples
 * came in the same order per series.
 */
export class SeriesDigests {
  /** Samples that were not later than the one before of their series. */
  outOfOrder = 0;
  samples = 0;
  readonly #table: SeriesTable;
  readonly #tenant: number;
  #newest = new Float64Array(1024).fill(Number.NEGATIVE_INFINITY);
  #counts = new Uint32Array(1024);
  #digests = new Uint32Array(1024);

  /** @param table shared by those that are to be compared: it numbers series by their labels */
  constructor(table = new SeriesTable({ seriesMax: SERIES_MAX })) {
    this.#table = table;
    this.#tenant = table.tenant('');
  }

  /** An empty one that numbers series alike. */
  sibling(): SeriesDigests {
    return new SeriesDigests(this.#table);
  }

  /** The number of the series with the `labels` fields in bytes [from, to). */
  series(bytes: Uint8Array, from: number, to: number): number {
    return this.#table.resolve(this.#tenant, bytes, from, to);
  }

  add(series: number, timestamp: number, bitsLow: number, bitsHigh: number): void {
    while (series >= this.#counts.length) this.#grow();
    this.samples++;
    if (timestamp <= this.#newest[series]!) this.outOfOrder++;
    this.#newest[series] = timestamp;
    this.#counts[series]!++;
    let digest = this.#digests[series]!;
    for (const part of [timestamp % 2 ** 32, bitsLow, bitsHigh]) {
      digest = Math.imul(digest ^ part, 0x9e3779b1);
      digest ^= digest >>> 15;
    }
    this.#digests[series] = digest;
  }

  /** How many series differ. */
  differences(other: SeriesDigests): number {
    let different = 0;
    const series = Math.max(this.#counts.length, other.#counts.length);
    for (let number = 0; number < series; number++) {
      const isEqual =
        (this.#counts[number] ?? 0) === (other.#counts[number] ?? 0) &&
        (this.#digests[number] ?? 0) === (other.#digests[number] ?? 0);
      if (!isEqual) different++;
    }
    return different;
  }

  #grow(): void {
    const capacity = this.#counts.length * 2;
    const newest = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    newest.set(this.#newest);
    this.#newest = newest;
    const counts = new Uint32Array(capacity);
    counts.set(this.#counts);
    this.#counts = counts;
    const digests = new Uint32Array(capacity);
    digests.set(this.#digests);
    this.#digests = digests;
  }
}

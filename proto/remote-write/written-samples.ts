import { assert } from '../../base/assert.ts';
import { hashLabels } from '../label-hash.ts';
import { formatLabelSet } from '../label-set.ts';
import { readExemplar } from '../objects/exemplar.ts';
import { readHistogram } from '../objects/histogram.ts';
import { SampleColumns } from '../sample-columns.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../snappy.ts';
import { type WriteRequestSink, WriteRequestWalker } from './walker-1.ts';
import type { WriteEncoder } from './write-encoder.ts';
import { encodeRows } from './written-rows.ts';

const EXAMPLES_MAX = 3;
const EXAMPLE_LENGTH_MAX = 500;

/**
 * The samples of a body that WriteRequestEncoder has written, in the order in which they stand:
 * version 1.0, whatever the destination speaks, with start timestamps where they were known.
 */
export class WrittenSamples implements WriteRequestSink {
  /** `labels` fields by series, and the index of each by its bytes. */
  readonly #labels: Uint8Array[] = [];
  readonly #indices = new Map<string, number>();
  /** The ids are indices of `#labels`. */
  readonly #columns = new SampleColumns();
  readonly #exemplars = new Set<number>();
  /** Of the TimeSeries that is read. */
  #id = 0;

  /** @throws DecodeError */
  constructor(body: Uint8Array) {
    const decoded = new Uint8Array(snappyDeclaredBytes(body));
    new WriteRequestWalker().walk(decoded, decodeSnappy(body, decoded), this);
    assert(this.count > 0, 'a request without samples');
  }

  get count(): number {
    return this.#columns.count;
  }

  series(bytes: Uint8Array, from: number, to: number): void {
    const labels = bytes.slice(from, to);
    const key = Buffer.from(labels.buffer).toString('latin1');
    this.#id = this.#indices.get(key) ?? this.#labels.push(labels) - 1;
    this.#indices.set(key, this.#id);
  }

  sample(timestamp: number, low: number, high: number, startTimestamp: number): void {
    this.#columns.push(this.#id, timestamp, low, high);
    this.#columns.setStart(this.count - 1, startTimestamp);
  }

  histogram(bytes: Uint8Array, from: number, to: number): void {
    const histogram = readHistogram(bytes, from, to);
    const { timestamp, startTimestamp } = histogram;
    this.#columns.pushObject('histogram', this.#id, timestamp, histogram.bytes);
    this.#columns.setStart(this.count - 1, startTimestamp);
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    const exemplar = readExemplar(bytes, from, to);
    const { timestamp } = exemplar;
    this.#exemplars.add(this.count);
    this.#columns.pushObject('exemplar', this.#id, timestamp, exemplar.bytes);
  }

  metadata(): void {}

  /** Times of the first and the last sample by their timestamps, in ms. */
  timeRange(): { oldest: number; newest: number } {
    const timestamps = this.#columns.timestamps.subarray(0, this.count);
    let oldest = timestamps[0]!;
    let newest = oldest;
    for (const timestamp of timestamps) {
      oldest = Math.min(oldest, timestamp);
      newest = Math.max(newest, timestamp);
    }
    return { oldest, newest };
  }

  /** A few different series, cut to a length that can be read. */
  examples(): string[] {
    const found = new Set<string>();
    for (const labels of this.#labels) {
      found.add(formatLabelSet(labels).slice(0, EXAMPLE_LENGTH_MAX));
      if (found.size === EXAMPLES_MAX) break;
    }
    return [...found];
  }

  /** The series of sample `row`, as Prometheus prints it. */
  seriesOf(row: number): string {
    return formatLabelSet(this.#labels[this.idOf(row)]!);
  }

  /** A number for the series of sample `row`. */
  idOf(row: number): number {
    return this.#columns.ids[row]!;
  }

  /** 32 bits that depend on the labels of the series of sample `row` only. */
  seriesHash(row: number): number {
    return hashLabels(this.#labels[this.idOf(row)]!);
  }

  /** In ms since the Unix epoch. */
  timestampOf(row: number): number {
    return this.#columns.timestamps[row]!;
  }

  /** Whether `row` is an exemplar, which is nothing without a sample. */
  isExemplar(row: number): boolean {
    return this.#exemplars.has(row);
  }

  /** Rows of samples before which none of their series stands; no exemplars. */
  firstOfEachSeries(): number[] {
    const rows: number[] = [];
    const seen = new Set<number>();
    for (let row = 0; row < this.count; row++) {
      if (this.isExemplar(row)) continue;
      if (!seen.has(this.idOf(row))) rows.push(row);
      seen.add(this.idOf(row));
    }
    return rows;
  }

  /** A body with the samples of these rows and no others. */
  encode(encoder: WriteEncoder, rows: Uint32Array): Uint8Array {
    return encodeRows(encoder, this.#columns, rows, (id) => {
      const labels = this.#labels[id]!;
      encoder.series(labels, 0, labels.length);
    });
  }
}

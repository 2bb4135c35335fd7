import { assert } from '../../base/assert.ts';
import { formatLabelSet } from '../label-set.ts';
import { readExemplar } from '../objects/exemplar.ts';
import { readHistogram } from '../objects/histogram.ts';
import { ObjectCursor, SampleColumns } from '../sample-columns.ts';
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
  /** `labels` fields by TimeSeries. */
  readonly #labels: Uint8Array[] = [];
  /** The ids are indices of `#labels`. */
  readonly #columns = new SampleColumns();

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
    this.#labels.push(bytes.slice(from, to));
  }

  sample(timestamp: number, low: number, high: number, startTimestamp: number): void {
    this.#columns.push(this.#labels.length - 1, timestamp, low, high);
    this.#columns.setStart(this.count - 1, startTimestamp);
  }

  histogram(bytes: Uint8Array, from: number, to: number): void {
    const histogram = readHistogram(bytes, from, to);
    const { timestamp, startTimestamp } = histogram;
    this.#columns.pushObject('histogram', this.#labels.length - 1, timestamp, histogram.bytes);
    this.#columns.setStart(this.count - 1, startTimestamp);
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    const exemplar = readExemplar(bytes, from, to);
    const { timestamp } = exemplar;
    this.#columns.pushObject('exemplar', this.#labels.length - 1, timestamp, exemplar.bytes);
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

  /** In ms since the Unix epoch. */
  timestampOf(row: number): number {
    return this.#columns.timestamps[row]!;
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
    return formatLabelSet(this.#labels[this.#columns.ids[row]!]!);
  }

  /** Whether `row` is an exemplar, which is nothing without a sample. */
  isExemplar(row: number): boolean {
    return new ObjectCursor(this.#columns.objects).at(row)?.kind === 'exemplar';
  }

  /** Rows of samples before which none of their series stands; no exemplars. */
  firstOfEachSeries(): number[] {
    const rows: number[] = [];
    const seen = new Set<string>();
    const objects = new ObjectCursor(this.#columns.objects);
    for (let row = 0; row < this.count; row++) {
      if (objects.at(row)?.kind === 'exemplar') continue;
      const series = this.seriesOf(row);
      if (!seen.has(series)) rows.push(row);
      seen.add(series);
    }
    return rows;
  }

  /** A body with these samples and no others. */
  encode(encoder: WriteEncoder, rows: Uint32Array): Uint8Array {
    return encodeRows(encoder, this.#columns, rows, (id) => {
      const labels = this.#labels[id]!;
      encoder.series(labels, 0, labels.length);
    });
  }
}

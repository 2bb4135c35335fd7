import { assert } from '../base/assert.ts';
import { formatLabelSet } from './label-set.ts';
import { readExemplar } from './objects/exemplar.ts';
import { readHistogram, wholeObject } from './objects/histogram.ts';
import { type WriteRequestSink, WriteRequestWalker } from './remote-write-in.ts';
import type { WriteRequestEncoder } from './remote-write-out.ts';
import { ObjectCursor, SampleColumns } from './sample-columns.ts';
import { decodeSnappy, snappyDeclaredBytes } from './snappy.ts';

const EXAMPLES_MAX = 3;
const EXAMPLE_LENGTH_MAX = 500;

/** The samples of a body that WriteRequestEncoder has written, in the order in which they stand. */
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

  sample(timestamp: number, low: number, high: number): void {
    this.#columns.push(this.#labels.length - 1, timestamp, low, high);
  }

  histogram(bytes: Uint8Array, from: number, to: number): void {
    const histogram = readHistogram(bytes, from, to);
    const { timestamp } = histogram;
    this.#columns.pushObject('histogram', this.#labels.length - 1, timestamp, histogram.bytes);
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

  /** Rows of samples before which none of their series stands. */
  firstOfEachSeries(): number[] {
    const rows: number[] = [];
    const seen = new Set<string>();
    for (let row = 0; row < this.count; row++) {
      const series = this.seriesOf(row);
      if (!seen.has(series)) rows.push(row);
      seen.add(series);
    }
    return rows;
  }

  /** A body with samples [from, to) and no others. */
  encode(encoder: WriteRequestEncoder, from: number, to: number): Uint8Array {
    const { ids, timestamps, valueBits } = this.#columns;
    const objects = new ObjectCursor(this.#columns.objects);
    for (let row = from; row < to; row++) {
      const labels = this.#labels[ids[row]!]!;
      if (row === from || ids[row] !== ids[row - 1]) encoder.series(labels, 0, labels.length);
      const object = objects.at(row);
      if (object !== undefined) encoder[object.kind](timestamps[row]!, wholeObject(object));
      else encoder.sample(timestamps[row]!, valueBits[row * 2]!, valueBits[row * 2 + 1]!);
    }
    return encoder.finish();
  }
}

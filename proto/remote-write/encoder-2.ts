import { compress } from 'snappyjs';
import { ByteWriter } from '../bytes.ts';
import { FieldCursor } from '../field-cursor.ts';
import { HISTOGRAM_START_TIMESTAMP, HISTOGRAM_TIMESTAMP } from '../objects/histogram.ts';
import { SeriesWriter } from './series-writer.ts';
import { SymbolTable } from './symbol-table.ts';
import type { WriteEncoder } from './write-encoder.ts';

const TIMESERIES_TAG = 0x2a;
const LABELS_REFS_TAG = 0x0a;
const HISTOGRAM_TAG = 0x1a;
const EXEMPLAR_TAG = 0x22;
const EXEMPLAR_TIMESTAMP = 3;
/** Field `labels` of TimeSeries and of Exemplar in version 1.0, `name` and `value` in a Label. */
const LABELS_TAG = 0x0a;
const NAME_TAG = 0x0a;
const VALUE_TAG = 0x12;

/**
 * Writes remote-write 2.0 bodies, io.prometheus.write.v2:
 *
 *     message Request { repeated string symbols = 4; repeated TimeSeries timeseries = 5; }
 *     message TimeSeries {
 *       repeated uint32 labels_refs = 1;     // packed: name, value, name, value
 *       repeated Sample samples = 2; repeated Histogram histograms = 3;
 *       repeated Exemplar exemplars = 4; Metadata metadata = 5;
 *     }
 *     message Exemplar { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
 *
 * Metadata is not written: it goes its own way (hub/write/metadata-sender.ts).
 */
export class WriteRequest2Encoder implements WriteEncoder {
  readonly joinsExemplars = true;
  readonly #symbols = new SymbolTable();
  readonly #series = new SeriesWriter(TIMESERIES_TAG);
  readonly #refs = new ByteWriter();
  /** A message in the making. */
  readonly #part = new ByteWriter();

  series(source: Uint8Array, from: number, to: number): void {
    this.#part.clear();
    this.#writeLabels(new FieldCursor(source, from, to));
    this.#series.begin(this.#part.bytes, 0, this.#part.length);
  }

  sample(timestamp: number, low: number, high: number, startTimestamp = 0): void {
    this.#series.sample(timestamp, low, high, startTimestamp);
  }

  histogram(timestamp: number, bytes: Uint8Array, startTimestamp = 0): void {
    this.#series.object(
      HISTOGRAM_TAG,
      bytes,
      { field: HISTOGRAM_TIMESTAMP, ms: timestamp },
      { field: HISTOGRAM_START_TIMESTAMP, ms: startTimestamp },
    );
  }

  exemplar(timestamp: number, bytes: Uint8Array): void {
    this.#part.clear();
    // Canonical: the labels stand in front.
    const rest = this.#writeLabels(new FieldCursor(bytes));
    this.#part.raw(bytes, rest);
    const content = this.#part.bytes.subarray(0, this.#part.length);
    this.#series.object(EXEMPLAR_TAG, content, { field: EXEMPLAR_TIMESTAMP, ms: timestamp });
  }

  finish(): Uint8Array {
    const body = compress(Buffer.concat([this.#symbols.bytes, this.#series.take()]));
    this.#symbols.clear();
    return body;
  }

  /** Writes the `labels` fields that come first as `labels_refs`; returns where they end. */
  #writeLabels(cursor: FieldCursor): number {
    const refs = this.#refs;
    refs.clear();
    let to = cursor.at;
    while (cursor.at < cursor.end && cursor.tag() === LABELS_TAG) {
      const outerEnd = cursor.enter();
      this.#referLabel(cursor);
      cursor.leave(outerEnd);
      to = cursor.at;
    }
    if (refs.length === 0) return to;
    this.#part.byte(LABELS_REFS_TAG);
    this.#part.varint(refs.length);
    this.#part.raw(refs.bytes, 0, refs.length);
    return to;
  }

  /** Adds the references of the Label that the cursor was narrowed to. */
  #referLabel(cursor: FieldCursor): void {
    let nameFrom = 0;
    let nameTo = 0;
    let valueFrom = 0;
    let valueTo = 0;
    while (cursor.at < cursor.end) {
      const tag = cursor.tag();
      if (tag === NAME_TAG) {
        nameTo = cursor.contentEnd();
        nameFrom = cursor.at;
        cursor.at = nameTo;
      } else if (tag === VALUE_TAG) {
        valueTo = cursor.contentEnd();
        valueFrom = cursor.at;
        cursor.at = valueTo;
      } else {
        cursor.skip(tag);
      }
    }
    this.#refs.varint(this.#symbols.reference(cursor.bytes, nameFrom, nameTo));
    this.#refs.varint(this.#symbols.reference(cursor.bytes, valueFrom, valueTo));
  }
}

import { DecodeError } from '../bytes.ts';
import { FieldCursor } from '../field-cursor.ts';
import type { RowObject } from '../sample-columns.ts';
import { type Field, fieldsByNumber, int64Field, messageOf } from './fields.ts';

// A native histogram of remote write; versions 1.0 and 2.0 number the fields alike:
//
//   message Histogram {
//     oneof count { uint64 count_int = 1; double count_float = 2; }
//     double sum = 3;
//     sint32 schema = 4;
//     double zero_threshold = 5;
//     oneof zero_count { uint64 zero_count_int = 6; double zero_count_float = 7; }
//     repeated BucketSpan negative_spans = 8;
//     repeated sint64 negative_deltas = 9;
//     repeated double negative_counts = 10;
//     repeated BucketSpan positive_spans = 11;
//     repeated sint64 positive_deltas = 12;
//     repeated double positive_counts = 13;
//     ResetHint reset_hint = 14;
//     int64 timestamp = 15;
//     repeated double custom_values = 16;
//     int64 start_timestamp = 17;             // 2.0 only
//   }
//
// Canonical, as columns hold it: the fields in the order of their numbers without the two times,
// and each as it was sent; of a oneof only the member that counts.

export const HISTOGRAM_TIMESTAMP = 15;
export const HISTOGRAM_START_TIMESTAMP = 17;
/** Limit for one histogram; Cortex takes 16 KiB by default. */
export const HISTOGRAM_BYTES_MAX = 65_536;

/** Members of a oneof, each with the other. */
const OTHER_MEMBERS = new Map([
  [1, 2],
  [2, 1],
  [6, 7],
  [7, 6],
]);

/** What changes rarely: schema, zero threshold, spans, reset hint, custom values. */
const LAYOUT_FIELDS = new Set([4, 5, 8, 11, 14, 16]);

/** A histogram whose times stand beside it, in ms, NaN beyond ±2^53; start 0: not known. */
export interface Histogram {
  timestamp: number;
  startTimestamp: number;
  bytes: Uint8Array;
}

/**
 * The fields of the Histogram message in bytes [from, to), in the order of their numbers. Of a oneof
 * only the member that was sent last is among them: in this order another one would count.
 *
 * @throws DecodeError
 */
export function histogramFields(bytes: Uint8Array, from: number, to: number): Field[] {
  const fields = fieldsByNumber(bytes, from, to);
  const last = new Map<number, number>();
  for (const field of fields)
    if (OTHER_MEMBERS.has(field.number)) last.set(field.number, field.from);
  return fields.filter((field) => {
    const other = OTHER_MEMBERS.get(field.number);
    return other === undefined || (last.get(other) ?? -1) < field.from;
  });
}

/** Takes the Histogram message in bytes [from, to) apart; `bytes` is a copy. @throws DecodeError */
export function readHistogram(bytes: Uint8Array, from: number, to: number): Histogram {
  const fields = histogramFields(bytes, from, to);
  return {
    timestamp: int64Field(bytes, fields, HISTOGRAM_TIMESTAMP),
    startTimestamp: int64Field(bytes, fields, HISTOGRAM_START_TIMESTAMP),
    bytes: messageOf(
      bytes,
      fields.filter(({ number }) => !isTime(number)),
    ),
  };
}

function isTime(number: number): boolean {
  return number === HISTOGRAM_TIMESTAMP || number === HISTOGRAM_START_TIMESTAMP;
}

/** The two parts of a canonical histogram. @throws DecodeError */
export function splitHistogram(bytes: Uint8Array): { layout: Uint8Array; counts: Uint8Array } {
  const fields = fieldsByNumber(bytes);
  return {
    layout: messageOf(
      bytes,
      fields.filter(({ number }) => LAYOUT_FIELDS.has(number)),
    ),
    counts: messageOf(
      bytes,
      fields.filter(({ number }) => !LAYOUT_FIELDS.has(number)),
    ),
  };
}

/**
 * Whether a part of a histogram is one that a message can be made of, without the times, which are
 * not in it.
 *
 * @throws DecodeError
 */
export function checkPart(bytes: Uint8Array): void {
  const cursor = new FieldCursor(bytes);
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (isTime(tag >>> 3)) throw new DecodeError(`Histogram: field ${tag >>> 3} among the others`);
    cursor.skip(tag);
  }
}

/** The inverse of {@link splitHistogram}. @throws DecodeError */
export function joinHistogram(layout: Uint8Array, counts: Uint8Array): Uint8Array {
  const both = Buffer.concat([layout, counts]);
  return messageOf(both, fieldsByNumber(both));
}

/** The canonical form of a histogram or exemplar in columns. @throws DecodeError */
export function wholeObject({ bytes, layout }: RowObject): Uint8Array {
  return layout === undefined ? bytes : joinHistogram(layout, bytes);
}

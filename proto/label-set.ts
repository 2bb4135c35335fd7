import { isUtf8 } from 'node:buffer';
import { assert } from '../base/assert.ts';
import { ByteWriter, DecodeError, utf8Text } from './bytes.ts';
import { FieldCursor } from './field-cursor.ts';
import { writeBytesField } from './field-writer.ts';

// The canonical form of a label set is what a remote write 1.0 sender that follows the rules puts
// on the wire, so that most label sets need no conversion at either end:
//
//   message TimeSeries { repeated Label labels = 1; }
//   message Label { string name = 1; string value = 2; }
//
// names ascending by bytes, none twice, no empty value, no unknown field, shortest varints.

const LABELS_TAG = 0x0a;
const NAME_TAG = 0x0a;
const VALUE_TAG = 0x12;

const METRIC_NAME = Buffer.from('__name__');
/** Limit for one label set as received and as kept. */
export const LABEL_SET_BYTES_MAX = 65_536;

/** Why no series can have this label set; label values of `..._refused_samples_total`. */
export type LabelSetRefusal =
  | 'no_labels'
  | 'no_metric_name'
  | 'duplicate_label'
  /** A label name that is empty or not UTF-8. */
  | 'invalid_name'
  /** Over LABEL_SET_BYTES_MAX. */
  | 'too_large'
  /** Not the protobuf message it should be. */
  | 'malformed';

export type LabelSetVerdict =
  | { kind: 'canonical'; bytes: Uint8Array }
  /** `label`: the name of the guilty label, where there is one. */
  | { kind: 'refused'; reason: LabelSetRefusal; label?: string };

/** Bytes of UTF-8, or not. */
export interface Label {
  name: Uint8Array;
  value: Uint8Array;
}

/**
 * Brings the `labels` fields in bytes [from, to) into canonical form: sorts, drops labels with an
 * empty value (for Prometheus the same series as without them), refuses what is no series.
 * Values pass byte for byte, UTF-8 or not.
 */
export function canonicalLabelSet(bytes: Uint8Array, from = 0, to = bytes.length): LabelSetVerdict {
  if (to - from > LABEL_SET_BYTES_MAX) return { kind: 'refused', reason: 'too_large' };
  const labels: Label[] = [];
  try {
    forEachLabel(bytes, (name, value) => labels.push({ name, value }), from, to);
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'refused', reason: 'malformed' };
    throw error;
  }
  labels.sort((a, b) => Buffer.compare(a.name, b.name));
  return refusalOf(labels) ?? { kind: 'canonical', bytes: encodeLabels(labels) };
}

/**
 * Whether bytes [from, to) are a canonical label set as they stand. Allocates nothing, unlike
 * `canonicalLabelSet`: at the start of an agent every series is new.
 */
export function isCanonicalLabelSet(bytes: Uint8Array, from: number, to: number): boolean {
  try {
    return to - from <= LABEL_SET_BYTES_MAX && isCanonicalWire(new FieldCursor(bytes, from, to));
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

function isCanonicalWire(cursor: FieldCursor): boolean {
  const { bytes, at: from, end: to } = cursor;
  let previousFrom = from;
  let previousTo = from;
  let canonicalBytes = 0;
  let hasMetricName = false;
  while (cursor.at < to) {
    if (cursor.tag() !== LABELS_TAG) return false;
    const labelTo = cursor.contentEnd();
    const labelFrom = cursor.at;
    if (cursor.tag() !== NAME_TAG) return false;
    const nameTo = cursor.contentEnd();
    const nameFrom = cursor.at;
    cursor.at = nameTo;
    if (nameTo >= labelTo || cursor.tag() !== VALUE_TAG) return false;
    const valueTo = cursor.contentEnd();
    const valueFrom = cursor.at;
    if (valueTo !== labelTo || valueFrom === valueTo) return false;
    cursor.at = labelTo;
    if (compareRanges(bytes, previousFrom, previousTo, nameFrom, nameTo) >= 0) return false;
    if (!isName(bytes, nameFrom, nameTo)) return false;
    hasMetricName ||= METRIC_NAME.compare(bytes, nameFrom, nameTo) === 0;
    canonicalBytes += fieldBytes(labelTo - labelFrom);
    // A length written longer than it need be shows in the sum.
    if (fieldBytes(nameTo - nameFrom) + fieldBytes(valueTo - valueFrom) !== labelTo - labelFrom) {
      return false;
    }
    previousFrom = nameFrom;
    previousTo = nameTo;
  }
  return hasMetricName && canonicalBytes === to - from;
}

/** Bytes of a field with a one-byte tag around `contentBytes`, its length as short as can be. */
function fieldBytes(contentBytes: number): number {
  let lengthBytes = 1;
  for (let rest = contentBytes; rest >= 0x80; rest >>>= 7) lengthBytes++;
  return 1 + lengthBytes + contentBytes;
}

function compareRanges(
  bytes: Uint8Array,
  aFrom: number,
  aTo: number,
  bFrom: number,
  bTo: number,
): number {
  const common = Math.min(aTo - aFrom, bTo - bFrom);
  for (let i = 0; i < common; i++) {
    const difference = bytes[aFrom + i]! - bytes[bFrom + i]!;
    if (difference !== 0) return difference;
  }
  return aTo - aFrom - (bTo - bFrom);
}

/** UTF-8 and not empty; ASCII needs no call into native code. */
function isName(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    if (bytes[at]! >= 0x80) return isUtf8(bytes.subarray(from, to));
  }
  return to > from;
}

/** The canonical form of labels that this program makes itself: they must be a series. */
export function labelSet(labels: Readonly<Record<string, string>>): Uint8Array {
  const pairs = Object.entries(labels).map(([name, value]) => {
    return { name: Buffer.from(name), value: Buffer.from(value) };
  });
  pairs.sort((a, b) => Buffer.compare(a.name, b.name));
  assert(refusalOf(pairs) === undefined, 'labels that are no series');
  return encodeLabels(pairs);
}

/** @param labels sorted by name, empty values included: a name counts as used even then */
function refusalOf(labels: Label[]): LabelSetVerdict | undefined {
  if (labels.length === 0) return { kind: 'refused', reason: 'no_labels' };
  let hasMetricName = false;
  let previous: Uint8Array | undefined;
  for (const { name, value } of labels) {
    if (name.length === 0 || !isUtf8(name)) return refused('invalid_name', name);
    if (previous !== undefined && Buffer.compare(previous, name) === 0) {
      return refused('duplicate_label', name);
    }
    if (value.length > 0 && METRIC_NAME.equals(name)) hasMetricName = true;
    previous = name;
  }
  return hasMetricName ? undefined : { kind: 'refused', reason: 'no_metric_name' };
}

function refused(reason: LabelSetRefusal, name: Uint8Array): LabelSetVerdict {
  return { kind: 'refused', reason, label: utf8Text(name) };
}

/** The `labels` fields of labels sorted by name, those with an empty value left out. */
export function encodeLabels(labels: readonly Label[]): Uint8Array {
  const set = new ByteWriter(512);
  const label = new ByteWriter(128);
  for (const { name, value } of labels) {
    if (value.length === 0) continue;
    label.clear();
    writeBytesField(label, NAME_TAG, name);
    writeBytesField(label, VALUE_TAG, value);
    writeBytesField(set, LABELS_TAG, label.bytes.subarray(0, label.length));
  }
  return set.finish();
}

/**
 * Calls `visit` for each label in bytes [from, to), canonical or not, in the order they stand
 * there. The arrays are views into `bytes`.
 *
 * @throws DecodeError
 */
export function forEachLabel(
  bytes: Uint8Array,
  visit: (name: Uint8Array, value: Uint8Array) => void,
  from = 0,
  to = bytes.length,
): void {
  const cursor = new FieldCursor(bytes, from, to);
  while (cursor.at < to) {
    const tag = cursor.tag();
    if (tag !== LABELS_TAG) throw new DecodeError(`tag ${tag} among labels`);
    const outerEnd = cursor.enter();
    const { name, value } = readLabel(cursor);
    cursor.leave(outerEnd);
    visit(name, value);
  }
}

const NOTHING = new Uint8Array(0);

/** As protobuf wants it: a field that is missing is empty, one that comes twice counts last. */
function readLabel(cursor: FieldCursor): Label {
  const label: Label = { name: NOTHING, value: NOTHING };
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    const field = tag >>> 3;
    if (tag === NAME_TAG) label.name = cursor.content();
    else if (tag === VALUE_TAG) label.value = cursor.content();
    else if (field === 1 || field === 2)
      throw new DecodeError(`Label: field ${field} is no string`);
    else cursor.skip(tag);
  }
  return label;
}

/** The value of the label `name` as a view into `bytes`; undefined when the set has none. */
export function labelValue(bytes: Uint8Array, name: string): Uint8Array | undefined {
  const wanted = Buffer.from(name);
  let found: Uint8Array | undefined;
  forEachLabel(bytes, (candidate, value) => {
    if (wanted.equals(candidate)) found = value;
  });
  return found;
}

/**
 * A label set for people, as Prometheus prints it: {__name__="up", job="node"}.
 * Bytes that are no UTF-8 show as U+FFFD.
 *
 * @throws DecodeError
 */
export function formatLabelSet(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const parts: string[] = [];
  forEachLabel(bytes, (name, value) => parts.push(formatLabel(name, value)), from, to);
  return `{${parts.join(', ')}}`;
}

function formatLabel(name: Uint8Array, value: Uint8Array): string {
  const shown = utf8Text(name);
  const isPlain = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(shown);
  return `${isPlain ? shown : JSON.stringify(shown)}=${JSON.stringify(utf8Text(value))}`;
}

/**
 * The beginning of a label set of any size, in or out of form: the metric name first, then as many
 * labels as fit, long ones cut. Nobody looks further than the bytes that a label set may have.
 */
export function formatLabelSetStart(
  bytes: Uint8Array,
  from: number,
  to: number,
  charsMax: number,
): string {
  const parts: string[] = [];
  let chars = 0;
  const add = (name: Uint8Array, value: Uint8Array): void => {
    if (name.byteOffset - bytes.byteOffset - from > LABEL_SET_BYTES_MAX) {
      throw new DecodeError('enough of these labels');
    }
    const isMetricName = METRIC_NAME.equals(name);
    if (chars >= charsMax && !isMetricName) return;
    const part = formatLabel(name.subarray(0, charsMax), value.subarray(0, charsMax));
    chars += part.length;
    if (isMetricName) parts.unshift(part);
    else parts.push(part);
  };
  try {
    forEachLabel(bytes, add, from, to);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return `{${parts.join(', ')}}`;
}

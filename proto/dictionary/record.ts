import { ByteReader, type ByteWriter, DecodeError } from '../bytes.ts';
import { FieldCursor, LEN, VARINT } from '../field-cursor.ts';
import { writeBytesField } from '../field-writer.ts';
import { forEachLabel } from '../label-set.ts';

// A dictionary entry taken apart, so that what entries have in common crosses the border once.
// The first byte of the head (the entry's kind) says what the names and values are:
//
//   kind          name         value
//   1 series      label name   label value
//   2 metadata    field's tag  content of the field; of a varint, its bytes
//   no head: an entry of any other form has one field, the whole of it, under an empty name

const SERIES = 1;
const METADATA = 2;

const LABELS_TAG = 0x0a;
const NAME_TAG = 0x0a;
const VALUE_TAG = 0x12;
/** metric_family_name of MetricMetadata. */
const FAMILY_TAG = 0x12;

const NOTHING = new Uint8Array(0);

export interface DictionaryRecord {
  /** Kind and tenant: the entry up to its payload. */
  head: Uint8Array;
  names: Uint8Array[];
  /** As many as names. */
  values: Uint8Array[];
}

/**
 * Takes an entry apart; the arrays are views into it. Any bytes have a record, and
 * `appendRecord` makes the same bytes of it again.
 *
 * @param scratch is cleared and written to
 */
export function splitEntry(entry: Uint8Array, scratch: ByteWriter): DictionaryRecord {
  try {
    const record = split(entry);
    scratch.clear();
    appendRecord(scratch, record);
    if (Buffer.compare(scratch.bytes.subarray(0, scratch.length), entry) === 0) return record;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return { head: NOTHING, names: [NOTHING], values: [entry] };
}

function split(entry: Uint8Array): DictionaryRecord {
  const reader = new ByteReader(entry);
  const kind = reader.byte();
  reader.skip(reader.varint());
  const record: DictionaryRecord = { head: entry.subarray(0, reader.at), names: [], values: [] };
  const add = (name: Uint8Array, value: Uint8Array): void => {
    record.names.push(name);
    record.values.push(value);
  };
  if (kind === SERIES) forEachLabel(entry, add, reader.at);
  else if (kind === METADATA) forEachField(entry, add, reader.at);
  else throw new DecodeError(`a dictionary entry of kind ${kind}`);
  return record;
}

function forEachField(
  bytes: Uint8Array,
  visit: (name: Uint8Array, value: Uint8Array) => void,
  from: number,
): void {
  const cursor = new FieldCursor(bytes, from);
  while (cursor.at < cursor.end) {
    const name = bytes.subarray(cursor.at, cursor.at + 1);
    const tag = cursor.tag();
    if (wireType(name) === LEN) {
      visit(name, cursor.content());
    } else {
      const valueFrom = cursor.at;
      cursor.skip(tag);
      visit(name, bytes.subarray(valueFrom, cursor.at));
    }
  }
}

/** @throws DecodeError when the name of a field of metadata is no tag that this format knows */
function wireType(name: Uint8Array): number {
  const tag = name.length === 1 ? name[0]! : 0;
  const type = tag & 7;
  if (tag < 8 || tag >= 0x80 || (type !== VARINT && type !== LEN)) {
    throw new DecodeError(`a field of metadata with the tag ${tag}`);
  }
  return type;
}

/**
 * Appends the entry that the record is.
 *
 * @throws DecodeError when there is no such entry; rubbish may then be left behind in the writer
 */
export function appendRecord(writer: ByteWriter, { head, names, values }: DictionaryRecord): void {
  const appendField = fieldAppender(head[0]);
  writer.raw(head);
  for (let i = 0; i < names.length; i++) appendField(writer, names[i]!, values[i]!);
}

function fieldAppender(kind: number | undefined): typeof appendLabel {
  switch (kind) {
    case SERIES:
      return appendLabel;
    case METADATA:
      return appendMetadataField;
    case undefined:
      return (writer, _, value) => writer.raw(value);
    default:
      throw new DecodeError(`a dictionary record of kind ${kind}`);
  }
}

function appendMetadataField(writer: ByteWriter, name: Uint8Array, value: Uint8Array): void {
  const type = wireType(name);
  writer.raw(name);
  if (type === LEN) writer.varint(value.length);
  writer.raw(value);
}

function appendLabel(writer: ByteWriter, name: Uint8Array, value: Uint8Array): void {
  writer.byte(LABELS_TAG);
  writer.varint(fieldBytes(name.length) + fieldBytes(value.length));
  writeBytesField(writer, NAME_TAG, name);
  writeBytesField(writer, VALUE_TAG, value);
}

/** Bytes of a field with a one-byte tag around `contentBytes`. */
function fieldBytes(contentBytes: number): number {
  let lengthBytes = 1;
  for (let rest = contentBytes; rest >= 0x80; rest >>>= 7) lengthBytes++;
  return 1 + lengthBytes + contentBytes;
}

/**
 * Names with the same key have their values in the same column. Metadata is mostly about families
 * whose metric names come in the same part: sharing their column saves 3 bytes a record.
 */
export function columnKey(name: Uint8Array): string {
  return name.length === 1 && name[0] === FAMILY_TAG ? '__name__' : byteString(name);
}

/** One character per byte, so that any bytes can be the key of a map. */
export function byteString(bytes: Uint8Array, length = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1');
}

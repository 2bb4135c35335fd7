import { ByteReader, ByteWriter, DecodeError } from '../bytes.ts';
import { FIXED64, LEN, VARINT } from '../field-cursor.ts';

// The counts of a native histogram (histogram.ts) as the difference to those before of its series,
// whose fields they share. For each field of those, in their order:
//
//     9, 12          for each delta: zigzag, by how much its bucket has grown
//     2, 3, 7        8 bytes: the bits that have changed
//     10, 13         8 bytes for each double: likewise
//     6              zigzag: by how much it has grown
//
// and then zigzag, by how much field 1 has grown beyond the buckets and field 6: mostly 0. A field
// that is there twice, or is none of these, has no difference; nor has one of another length.

const COUNT_TAG = (1 << 3) | VARINT;
const ZERO_COUNT_TAG = (6 << 3) | VARINT;
const DELTAS = new Set([9, 12]);
const DOUBLES = new Set([2, 3, 7]);
const PACKED_DOUBLES = new Set([10, 13]);
/** Differences of smaller numbers are exact, and can be written. */
const COUNT_MAX = 2 ** 52;

type CountsField =
  | { kind: 'integer'; tag: number; value: number }
  /** Packed: with its length in front. */
  | { kind: 'doubles'; tag: number; isPacked: boolean; bytes: Uint8Array }
  /** Absolute counts of buckets. */
  | { kind: 'buckets'; tag: number; counts: number[] };

/** The difference; undefined where there is none that gives back the same bytes. */
export function countsDifference(before: Uint8Array, counts: Uint8Array): Uint8Array | undefined {
  try {
    const fields = readFields(before);
    const difference = differenceOf(fields, readFields(counts));
    if (difference === undefined) return undefined;
    // Integers may be written longer than they need be.
    return Buffer.compare(fieldsAfter(fields, difference), counts) === 0 ? difference : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** The counts that a difference leads to. @throws DecodeError */
export function countsAfter(before: Uint8Array, difference: Uint8Array): Uint8Array {
  return fieldsAfter(readFields(before), difference);
}

function fieldsAfter(before: readonly CountsField[], difference: Uint8Array): Uint8Array {
  const reader = new ByteReader(difference);
  let grown = 0;
  const fields = before.map((field): CountsField => {
    if (field.kind === 'doubles') return { ...field, bytes: changed(field.bytes, reader) };
    if (field.kind === 'buckets') {
      const counts = field.counts.map((count) => {
        const growth = reader.zigzag();
        grown = exact(grown + growth);
        return exact(count + growth);
      });
      return { ...field, counts };
    }
    if (field.tag === COUNT_TAG) return { ...field };
    const growth = reader.zigzag();
    grown = exact(grown + growth);
    return { ...field, value: positive(field.value + growth) };
  });
  const [count] = fields;
  if (count?.kind === 'integer' && count.tag === COUNT_TAG) {
    count.value = positive(count.value + grown + reader.zigzag());
  }
  if (!reader.done) throw new DecodeError('counts: bytes behind the difference');
  return writeFields(fields);
}

function differenceOf(
  before: readonly CountsField[],
  now: readonly CountsField[],
): Uint8Array | undefined {
  if (before.length !== now.length) return undefined;
  const writer = new ByteWriter();
  let grown = 0;
  const grow = (from: number, to: number): void => {
    writer.zigzag(to - from);
    grown = exact(grown + to - from);
  };
  let countGrown: number | undefined;
  for (const [at, field] of now.entries()) {
    const old = before[at]!;
    if (old.tag !== field.tag) return undefined;
    if (field.kind === 'integer' && old.kind === 'integer') {
      if (field.tag === COUNT_TAG) countGrown = field.value - old.value;
      else grow(old.value, field.value);
    } else if (field.kind === 'doubles' && old.kind === 'doubles') {
      if (old.bytes.length !== field.bytes.length) return undefined;
      for (const [index, byte] of field.bytes.entries()) writer.byte(byte ^ old.bytes[index]!);
    } else if (field.kind === 'buckets' && old.kind === 'buckets') {
      if (old.counts.length !== field.counts.length) return undefined;
      for (const [index, count] of field.counts.entries()) grow(old.counts[index]!, count);
    }
  }
  if (countGrown !== undefined) writer.zigzag(countGrown - grown);
  return writer.finish();
}

/** @throws DecodeError for fields that have no difference */
function readFields(bytes: Uint8Array): CountsField[] {
  const reader = new ByteReader(bytes);
  const fields: CountsField[] = [];
  let previous = 0;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag <= previous) throw new DecodeError('counts: a field twice');
    previous = tag;
    fields.push(readField(reader, tag));
  }
  return fields;
}

function readField(reader: ByteReader, tag: number): CountsField {
  const number = tag >>> 3;
  switch (tag & 7) {
    case VARINT:
      if (tag !== COUNT_TAG && tag !== ZERO_COUNT_TAG) break;
      return { kind: 'integer', tag, value: positive(reader.varint()) };
    case FIXED64:
      if (!DOUBLES.has(number)) break;
      return { kind: 'doubles', tag, isPacked: false, bytes: reader.raw(8) };
    case LEN: {
      const content = reader.raw(reader.varint());
      if (DELTAS.has(number)) return { kind: 'buckets', tag, counts: readBuckets(content) };
      if (!PACKED_DOUBLES.has(number)) break;
      return { kind: 'doubles', tag, isPacked: true, bytes: content };
    }
  }
  throw new DecodeError(`counts: tag ${tag}`);
}

function readBuckets(content: Uint8Array): number[] {
  const reader = new ByteReader(content);
  const counts: number[] = [];
  let count = 0;
  while (!reader.done) {
    count = exact(count + reader.zigzag());
    counts.push(count);
  }
  return counts;
}

function writeFields(fields: readonly CountsField[]): Uint8Array {
  const writer = new ByteWriter();
  const part = new ByteWriter();
  for (const field of fields) {
    writer.varint(field.tag);
    if (field.kind === 'integer') {
      writer.varint(field.value);
    } else if (field.kind === 'doubles') {
      if (field.isPacked) writer.varint(field.bytes.length);
      writer.raw(field.bytes);
    } else {
      part.clear();
      let before = 0;
      for (const count of field.counts) {
        part.zigzag(count - before);
        before = count;
      }
      writer.varint(part.length);
      writer.raw(part.bytes, 0, part.length);
    }
  }
  return writer.finish();
}

function changed(before: Uint8Array, reader: ByteReader): Uint8Array {
  const changes = reader.raw(before.length);
  return before.map((byte, at) => byte ^ changes[at]!);
}

function exact(value: number): number {
  if (Math.abs(value) > COUNT_MAX) throw new DecodeError('counts: beyond 2^52');
  return value;
}

function positive(value: number): number {
  if (value < 0) throw new DecodeError('counts: below 0');
  return exact(value);
}

import { ByteReader, ByteWriter, DecodeError } from './bytes.ts';
import {
  appendRecord,
  byteString,
  columnKey,
  type DictionaryRecord,
  splitEntry,
} from './dictionary-record.ts';
import { appendText, readText } from './terminated-text.ts';

// How entries of a dictionary log cross the border; docs/wire-dictionary.md is the specification.
// An entry is a record (dictionary-record.ts). Records with the same head and names have the same
// shape, and all values under one name, in whatever shape, are a column. Of a record go out: its
// shape, which of its values differ from the last of their column, and for these, how far the
// value lies from the last one in the column's list of values. The end of that list stands for a
// new value, written as what it does not share with the last one. Numbers and texts are kept apart
// because zstd, which comes next, finds more in them so.

/** Bits in one mask: four bytes as a varint, and exact in JavaScript's bitwise operations. */
const MASK_COLUMNS = 28;

/** What a part may expand to. */
export interface EntriesLimit {
  entriesMax: number;
  /** Bytes of all entries together. */
  bytesMax: number;
}

/** The values under one name in the order in which they first came. */
class Column {
  readonly values: Uint8Array[] = [];
  /** Index of the value that came last. */
  last = -1;

  get lastValue(): Uint8Array | undefined {
    return this.values[this.last];
  }
}

/** The entries, any bytes, in the form that is smallest behind zstd. */
export function encodeEntries(entries: Iterable<Uint8Array>): Uint8Array {
  const encoder = new PartEncoder();
  for (const entry of entries) encoder.add(entry);
  return encoder.finish();
}

class PartEncoder {
  readonly #numbers = new ByteWriter();
  readonly #texts = new ByteWriter();
  readonly #changes = new ByteWriter();
  readonly #scratch = new ByteWriter();
  /** By their definition as it stands among the texts. */
  readonly #shapes = new Map<string, { id: number; columns: SearchedColumn[] }>();
  readonly #columns = new Map<string, SearchedColumn>();

  add(entry: Uint8Array): void {
    const record = splitEntry(entry, this.#scratch);
    const columns = this.#shape(record);
    for (let from = 0; from < columns.length; from += MASK_COLUMNS) {
      this.#addValues(columns, record.values, from);
    }
  }

  finish(): Uint8Array {
    const part = new ByteWriter(this.#numbers.length + this.#texts.length + 8);
    part.varint(this.#numbers.length);
    part.raw(this.#numbers.bytes, 0, this.#numbers.length);
    part.raw(this.#texts.bytes, 0, this.#texts.length);
    return part.finish();
  }

  #shape({ head, names }: DictionaryRecord): readonly SearchedColumn[] {
    const definition = this.#scratch;
    definition.clear();
    appendText(definition, head);
    for (const name of names) appendText(definition, name);
    const key = byteString(definition.bytes, definition.length);
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = { id: this.#shapes.size, columns: names.map((name) => this.#column(name)) };
      this.#shapes.set(key, shape);
      this.#numbers.varint(shape.id);
      this.#numbers.varint(names.length);
      this.#texts.raw(definition.bytes, 0, definition.length);
    } else {
      this.#numbers.varint(shape.id);
    }
    return shape.columns;
  }

  #column(name: Uint8Array): SearchedColumn {
    const key = columnKey(name);
    let column = this.#columns.get(key);
    if (column === undefined) {
      column = new SearchedColumn();
      this.#columns.set(key, column);
    }
    return column;
  }

  /** The mask for columns [from, from + MASK_COLUMNS), and the values that it names. */
  #addValues(columns: readonly SearchedColumn[], values: Uint8Array[], from: number): void {
    const to = Math.min(from + MASK_COLUMNS, columns.length);
    let mask = 0;
    this.#changes.clear();
    for (let i = from; i < to; i++) {
      const column = columns[i]!;
      const value = values[i]!;
      const last = column.lastValue;
      if (last !== undefined && isEqual(last, value)) continue;
      mask |= 1 << (i - from);
      this.#addChange(column, value, last);
    }
    this.#numbers.varint(mask);
    this.#numbers.raw(this.#changes.bytes, 0, this.#changes.length);
  }

  #addChange(column: SearchedColumn, value: Uint8Array, last: Uint8Array | undefined): void {
    const { index, isNew } = column.find(value);
    this.#changes.zigzag(index - column.last);
    column.last = index;
    if (!isNew) return;
    let shared = 0;
    if (last !== undefined) {
      shared = sharedBytes(last, value);
      this.#texts.varint(shared);
    }
    appendText(this.#texts, value, shared);
  }
}

class SearchedColumn extends Column {
  readonly #indexes = new Map<string, number>();

  /** Index of the value, which is added when it `isNew`. */
  find(value: Uint8Array): { index: number; isNew: boolean } {
    const key = byteString(value);
    const known = this.#indexes.get(key);
    if (known !== undefined) return { index: known, isNew: false };
    const index = this.values.length;
    this.#indexes.set(key, index);
    this.values.push(value);
    return { index, isNew: true };
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && sharedBytes(a, b) === a.length;
}

/** How many bytes are the same at the start of both. */
function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a[at] === b[at]) at++;
  return at;
}

/**
 * The entries that `encodeEntries` was given, byte for byte, as views into shared memory.
 * Takes memory in proportion to `bytesMax` and to the part, whatever the part says.
 *
 * @throws DecodeError when the part is malformed or expands to more than the limit
 */
export function decodeEntries(part: Uint8Array, limit: EntriesLimit): Uint8Array[] {
  const decoder = new PartDecoder(part, limit);
  while (!decoder.done) decoder.next();
  return decoder.finish();
}

interface DecodedShape {
  head: Uint8Array;
  names: Uint8Array[];
  columns: Column[];
  /** Bytes of the head and the names together. */
  fixedBytes: number;
}

class PartDecoder {
  readonly #numbers: ByteReader;
  readonly #texts: ByteReader;
  readonly #limit: EntriesLimit;
  readonly #shapes: DecodedShape[] = [];
  readonly #columns = new Map<string, Column>();
  readonly #entries = new ByteWriter();
  readonly #ends: number[] = [];

  constructor(part: Uint8Array, limit: EntriesLimit) {
    const reader = new ByteReader(part);
    const numbersBytes = reader.varint();
    const numbersFrom = reader.skip(numbersBytes);
    this.#numbers = new ByteReader(part, numbersFrom, reader.at);
    this.#texts = new ByteReader(part, reader.at);
    this.#limit = limit;
  }

  get done(): boolean {
    return this.#numbers.done;
  }

  next(): void {
    if (this.#ends.length >= this.#limit.entriesMax) {
      throw new DecodeError(`dictionary part: over the limit of ${this.#limit.entriesMax} entries`);
    }
    const { head, names, columns, fixedBytes } = this.#shape();
    const values: Uint8Array[] = [];
    let recordBytes = fixedBytes;
    let mask = 0;
    for (const [i, column] of columns.entries()) {
      const bit = i % MASK_COLUMNS;
      if (bit === 0) mask = this.#mask(columns.length - i);
      if ((mask & (1 << bit)) !== 0) this.#change(column, recordBytes);
      const value = column.lastValue;
      if (value === undefined) throw new DecodeError('dictionary part: a column without a value');
      recordBytes += value.length;
      this.#requireRoom(recordBytes);
      values.push(value);
    }
    appendRecord(this.#entries, { head, names, values });
    this.#requireRoom(0);
    this.#ends.push(this.#entries.length);
  }

  finish(): Uint8Array[] {
    if (!this.#texts.done) throw new DecodeError('dictionary part: texts that no record names');
    const bytes = this.#entries.finish();
    return this.#ends.map((end, i) => bytes.subarray(this.#ends[i - 1] ?? 0, end));
  }

  #shape(): DecodedShape {
    const id = this.#numbers.varint();
    if (id > this.#shapes.length) throw new DecodeError(`dictionary part: no shape ${id}`);
    const known = this.#shapes[id];
    if (known !== undefined) return known;
    const count = this.#numbers.varint();
    const head = readText(this.#texts);
    const shape: DecodedShape = { head, names: [], columns: [], fixedBytes: head.length };
    for (let i = 0; i < count; i++) {
      const name = readText(this.#texts);
      shape.fixedBytes += name.length;
      this.#requireRoom(shape.fixedBytes);
      shape.names.push(name);
      shape.columns.push(this.#column(name));
    }
    this.#shapes.push(shape);
    return shape;
  }

  #column(name: Uint8Array): Column {
    const key = columnKey(name);
    let column = this.#columns.get(key);
    if (column === undefined) {
      column = new Column();
      this.#columns.set(key, column);
    }
    return column;
  }

  /** @param columns how many are left for this mask and those behind it */
  #mask(columns: number): number {
    const mask = this.#numbers.varint();
    if (mask >= 2 ** Math.min(columns, MASK_COLUMNS)) {
      throw new DecodeError('dictionary part: a mask with more bits than columns');
    }
    return mask;
  }

  /** @param recordBytes of the record so far */
  #change(column: Column, recordBytes: number): void {
    const index = column.last + this.#numbers.zigzag();
    const { values } = column;
    if (index < 0 || index > values.length) {
      throw new DecodeError(`dictionary part: no value ${index} among ${values.length}`);
    }
    if (index === values.length) values.push(this.#newValue(column.lastValue, recordBytes));
    column.last = index;
  }

  #newValue(last: Uint8Array | undefined, recordBytes: number): Uint8Array {
    if (last === undefined) return readText(this.#texts);
    const shared = this.#texts.varint();
    if (shared > last.length) {
      throw new DecodeError(`dictionary part: ${shared} bytes of ${last.length} shared`);
    }
    const rest = readText(this.#texts);
    // Two bytes could otherwise repeat a long value again and again.
    this.#requireRoom(recordBytes + shared + rest.length);
    const value = new Uint8Array(shared + rest.length);
    value.set(last.subarray(0, shared));
    value.set(rest, shared);
    return value;
  }

  #requireRoom(moreBytes: number): void {
    if (this.#entries.length + moreBytes > this.#limit.bytesMax) {
      throw new DecodeError(`dictionary part: expands to over ${this.#limit.bytesMax} bytes`);
    }
  }
}

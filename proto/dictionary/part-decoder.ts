import { ByteReader, ByteWriter, DecodeError } from '../bytes.ts';
import { Column, MASK_COLUMNS } from './column.ts';
import { appendRecord, columnKey } from './record.ts';
import { readText } from './text.ts';

/** What a part may expand to. */
export interface EntriesLimit {
  entriesMax: number;
  /** Bytes of all entries together. */
  bytesMax: number;
}

/**
 * The entries that `encodeEntries` was given, byte for byte, as views into shared memory.
 * Takes memory in proportion to `bytesMax` and to the part, whatever the part says.
 *
 * @throws DecodeError when the part is malformed or expands to more than the limit
 */
export function decodeEntries(part: Uint8Array, limit: EntriesLimit): Uint8Array[] {
  if (part.length === 0) return [];
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
      if ((mask & (1 << bit)) !== 0) this.#change(column);
      const value = column.lastValue;
      if (value === undefined) throw new DecodeError('dictionary part: a column without a value');
      // After each value, since three bytes are enough to repeat a long one with nothing added.
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

  #change(column: Column): void {
    const { values, lastValue } = column;
    const index = lastValue === undefined ? 0 : column.last + this.#numbers.zigzag();
    if (index < 0 || index > values.length) {
      throw new DecodeError(`dictionary part: no value ${index} among ${values.length}`);
    }
    if (index === values.length) values.push(this.#newValue(lastValue));
    column.last = index;
  }

  #newValue(last: Uint8Array | undefined): Uint8Array {
    if (last === undefined) return readText(this.#texts);
    const shared = this.#texts.varint();
    if (shared > last.length) {
      throw new DecodeError(`dictionary part: ${shared} bytes of ${last.length} shared`);
    }
    const rest = readText(this.#texts);
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

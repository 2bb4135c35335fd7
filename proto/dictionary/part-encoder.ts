import { ByteWriter } from '../bytes.ts';
import { Column, MASK_COLUMNS } from './column.ts';
import { byteString, columnKey, type DictionaryRecord, splitEntry } from './record.ts';
import { appendText } from './text.ts';

/**
 * Entries of a dictionary log in the form that is smallest behind zstd; no entries are no bytes.
 * What an entry holds is not looked at: any bytes come back from `decodeEntries`, well-formed
 * entries of a kind that record.ts knows just take less.
 *
 * @param entries must stay as they are until this returns
 */
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
    if (this.#numbers.length === 0) return new Uint8Array(0);
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
    const end = column.values.length;
    const index = column.indexOf(value);
    if (last !== undefined) this.#changes.zigzag(index - column.last);
    column.last = index;
    if (index < end) return;
    const shared = last === undefined ? 0 : sharedBytes(last, value);
    if (last !== undefined) this.#texts.varint(shared);
    appendText(this.#texts, value, shared);
  }
}

class SearchedColumn extends Column {
  readonly #indexes = new Map<string, number>();

  /** Index of the value, which is added when it is new. */
  indexOf(value: Uint8Array): number {
    const key = byteString(value);
    let index = this.#indexes.get(key);
    if (index === undefined) {
      index = this.values.length;
      this.#indexes.set(key, index);
      this.values.push(value);
    }
    return index;
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

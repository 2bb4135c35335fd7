import { type ByteWriter, DecodeError } from '../bytes.ts';
import { type FieldCursor, LEN, VARINT } from '../field-cursor.ts';
import { LABEL_SET_BYTES_MAX } from '../label-set.ts';

const LABEL_TAG = 0x0a;
const NAME_TAG = 0x0a;
const VALUE_TAG = 0x12;
const METRIC_NAME = Buffer.from('__name__');

/** No sender has as many: they are the different texts of one request. */
const SYMBOLS_MAX = 1 << 21;
/** More than label sets within their limit can have. */
const REFERENCES_MAX = 65_536;
/** A request of 32 MiB could else name a text of 1 MiB in each of a million labels. */
const WRITTEN_BYTES_MAX = 128 * 1024 * 1024;
/** Up to here a loop beats the call into native code. */
const LOOP_BYTES_MAX = 32;

/** References of a series or exemplar to its label texts, as they stand in the message. */
export class References {
  readonly values = new Uint32Array(REFERENCES_MAX);
  /** May exceed the values that are kept. */
  count = 0;

  clear(): void {
    this.count = 0;
  }

  /** Reads one `labels_refs` field, packed or not. @throws DecodeError */
  read(cursor: FieldCursor, tag: number): void {
    if ((tag & 7) === VARINT) {
      this.#add(cursor.uint32());
    } else if ((tag & 7) === LEN) {
      const outerEnd = cursor.enter();
      while (cursor.at < cursor.end) this.#add(cursor.uint32());
      cursor.leave(outerEnd);
    } else {
      throw new DecodeError(`labels_refs before byte ${cursor.at} has wire type ${tag & 7}`);
    }
  }

  /** As Prometheus prints them, cut to what a message can show. */
  toString(): string {
    const shown = this.values.subarray(0, Math.min(this.count, 50));
    return `[${shown.join(' ')}${this.count > shown.length ? ' ...' : ''}]`;
  }

  #add(reference: number): void {
    if (this.count < REFERENCES_MAX) this.values[this.count] = reference;
    this.count++;
  }
}

/** The texts of one remote write 2.0 request. Index 0 is a text like any other. */
export class RequestSymbols {
  count = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Where each text begins and ends in `#bytes`. */
  #froms = new Uint32Array(1024);
  #tos = new Uint32Array(1024);
  /** Bytes written for the request so far. */
  #written = 0;

  /** Begins the table of a request that is in `bytes`. */
  begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.count = 0;
    this.#written = 0;
  }

  /** Adds the text in bytes [from, to). @throws DecodeError when there are too many */
  add(from: number, to: number): void {
    if (this.count === SYMBOLS_MAX) throw new DecodeError(`more than ${SYMBOLS_MAX} symbols`);
    if (this.count === this.#froms.length) this.#grow();
    this.#froms[this.count] = from;
    this.#tos[this.count] = to;
    this.count++;
  }

  has(reference: number): boolean {
    return reference < this.count;
  }

  /** Length of a text there is. */
  bytesOf(reference: number): number {
    return this.#tos[reference]! - this.#froms[reference]!;
  }

  /** Why no labels can be made of these references, if so. */
  problemOf({ values, count }: References): string | undefined {
    if (count % 2 !== 0) return `invalid labelRefs length ${count}`;
    if (count > REFERENCES_MAX) return `labelRefs length ${count} over the limit`;
    for (let at = 0; at < count; at += 2) {
      const name = values[at]!;
      const value = values[at + 1]!;
      if (name >= this.count || value >= this.count) {
        return `labelRefs ${name} (name) = ${value} (value) ${this.outside()}`;
      }
    }
    return undefined;
  }

  outside(): string {
    return `outside of symbols table (size ${this.count})`;
  }

  /**
   * Appends `labels` fields of version 1.0. Ends early once they are over the limit for label sets
   * and exemplars, by which they will be refused.
   *
   * @param references without a problem
   * @throws DecodeError when a request becomes far larger by it
   */
  writeLabels({ values, count }: References, writer: ByteWriter): void {
    for (let at = 0; at < count && writer.length <= LABEL_SET_BYTES_MAX; at += 2) {
      const name = values[at]!;
      const value = values[at + 1]!;
      const content = textFieldBytes(this.bytesOf(name)) + textFieldBytes(this.bytesOf(value));
      writer.byte(LABEL_TAG);
      writer.varint(content);
      this.writeText(NAME_TAG, name, writer);
      this.writeText(VALUE_TAG, value, writer);
    }
  }

  /** Appends a field with the text that `reference` names. @throws DecodeError as writeLabels */
  writeText(tag: number, reference: number, writer: ByteWriter): void {
    const from = this.#froms[reference]!;
    const to = this.#tos[reference]!;
    this.#written += to - from;
    if (this.#written > WRITTEN_BYTES_MAX) {
      throw new DecodeError(`labels and metadata of more than ${WRITTEN_BYTES_MAX} bytes`);
    }
    writer.byte(tag);
    writer.varint(to - from);
    if (to - from > LOOP_BYTES_MAX) {
      writer.raw(this.#bytes, from, to);
    } else {
      writer.reserve(to - from);
      const { bytes, length } = writer;
      for (let i = 0; i < to - from; i++) bytes[length + i] = this.#bytes[from + i]!;
      writer.length += to - from;
    }
  }

  /** Which value is that of __name__; undefined where there is none. */
  metricNameOf({ values, count }: References): number | undefined {
    for (let at = 0; at < count; at += 2) {
      const name = values[at]!;
      if (this.bytesOf(name) !== METRIC_NAME.length) continue;
      if (METRIC_NAME.equals(this.#bytes.subarray(this.#froms[name]!, this.#tos[name]!))) {
        return values[at + 1];
      }
    }
    return undefined;
  }

  #grow(): void {
    const froms = new Uint32Array(this.count * 2);
    froms.set(this.#froms);
    this.#froms = froms;
    const tos = new Uint32Array(this.count * 2);
    tos.set(this.#tos);
    this.#tos = tos;
  }
}

/** Bytes of a field with a one-byte tag around a text of `bytes` bytes. */
function textFieldBytes(bytes: number): number {
  let lengthBytes = 1;
  for (let rest = bytes; rest >= 0x80; rest >>>= 7) lengthBytes++;
  return 1 + lengthBytes + bytes;
}

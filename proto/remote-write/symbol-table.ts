import { ByteWriter } from '../bytes.ts';

/** Field `symbols` of io.prometheus.write.v2.Request. */
const SYMBOLS_TAG = 0x22;
const SLOTS_MIN = 4096;
const EMPTY = new Uint8Array(0);

/**
 * The symbols of one request of remote write 2.0, each once, numbered in order of first use; the
 * first one is empty, as the specification wants. They are looked for by their bytes: no string is
 * made of a label, and one that is no UTF-8 stays what it is.
 */
export class SymbolTable {
  /** The `symbols` fields. */
  readonly #writer = new ByteWriter(1 << 16);
  #count = 0;
  /** By symbol: where its text is in the writer, and its hash. */
  #fromOf = new Uint32Array(SLOTS_MIN / 2);
  #toOf = new Uint32Array(SLOTS_MIN / 2);
  #hashOf = new Uint32Array(SLOTS_MIN / 2);
  /** Open addressing: number of a symbol + 1, 0 where there is none; at most half full. */
  #slots = new Uint32Array(SLOTS_MIN);

  constructor() {
    this.clear();
  }

  /** The number of the text in bytes [from, to) of `source`. */
  reference(source: Uint8Array, from: number, to: number): number {
    const hash = hashOf(source, from, to);
    const mask = this.#slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const number = this.#slots[at]! - 1;
      if (number < 0) return this.#add(at, hash, source, from, to);
      if (this.#hashOf[number] === hash && this.#is(number, source, from, to)) return number;
    }
  }

  /** The `symbols` fields, until the next call of anything. */
  get bytes(): Uint8Array {
    return this.#writer.bytes.subarray(0, this.#writer.length);
  }

  /** Forgets all but the empty symbol. */
  clear(): void {
    this.#writer.clear();
    this.#count = 0;
    this.#slots.fill(0);
    this.reference(EMPTY, 0, 0);
  }

  #add(slot: number, hash: number, source: Uint8Array, from: number, to: number): number {
    const number = this.#count++;
    const writer = this.#writer;
    writer.byte(SYMBOLS_TAG);
    writer.varint(to - from);
    this.#fromOf[number] = writer.length;
    writer.raw(source, from, to);
    this.#toOf[number] = writer.length;
    this.#hashOf[number] = hash;
    this.#slots[slot] = number + 1;
    if (this.#count * 2 === this.#slots.length) this.#grow();
    return number;
  }

  #is(number: number, source: Uint8Array, from: number, to: number): boolean {
    const { bytes } = this.#writer;
    let at = this.#fromOf[number]!;
    if (this.#toOf[number]! - at !== to - from) return false;
    for (let other = from; other < to; other++) if (bytes[at++] !== source[other]) return false;
    return true;
  }

  #grow(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let number = 0; number < this.#count; number++) {
      let at = this.#hashOf[number]! & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = number + 1;
    }
    this.#slots = slots;
    this.#fromOf = grown(this.#fromOf);
    this.#toOf = grown(this.#toOf);
    this.#hashOf = grown(this.#hashOf);
  }
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** FNV-1a with a final mix, since the slot is taken from the low bits. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

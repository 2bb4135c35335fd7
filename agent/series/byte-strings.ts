import { assert } from '../../base/assert.ts';

const CHUNK_BYTES = 1 << 20;
/** Strings begin at multiples of 8, so that a 31-bit address reaches 16 GiB. */
const ALIGNMENT = 8;
/** Marks the address of a string that lies with the other table. */
const LENT = 2 ** 31;
const ADDRESSES_PER_CHUNK = CHUNK_BYTES / ALIGNMENT;
const EMPTY_SLOT = 0;

/**
 * Numbers byte strings in the order in which they are added, each within a `space`: the same
 * bytes in two spaces are two strings. Looking one up allocates nothing.
 *
 * About 28 bytes per string besides its own; strings are never removed one by one. A table may
 * borrow strings of another one in the place of copies.
 */
export class ByteStrings {
  readonly #lender: ByteStrings | undefined;
  /** Strings kept, which is also the number of the next one. */
  count = 0;
  /** Their length together. */
  bytes = 0;
  #chunks: DataView[] = [];
  /** Bytes used of the last chunk. */
  #chunkBytes = CHUNK_BYTES;
  #addresses = new Uint32Array(256);
  #lengths = new Uint32Array(256);
  #spaces = new Uint32Array(256);
  #hashes = new Uint32Array(256);
  /** Open addressing, number + 1; at most half of them are in use. */
  #slots = new Uint32Array(512);
  /** The array looked at last and a view of it: all requests come in one scratch. */
  #viewed: Uint8Array = new Uint8Array(0);
  #view = new DataView(this.#viewed.buffer);

  constructor(lender?: ByteStrings) {
    this.#lender = lender;
  }

  /** Number of the string in `bytes` [from, to), or -1. */
  find(space: number, bytes: Uint8Array, from: number, to: number): number {
    const view = this.#viewOf(bytes);
    const hash = hashOf(view, from, to - from, space);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1;
      if (number < 0) return -1;
      if (this.#hashes[number] === hash && this.#equals(number, space, view, from, to - from)) {
        return number;
      }
    }
  }

  /** Whether string `number` is the one in `bytes` [from, to). */
  matches(number: number, space: number, bytes: Uint8Array, from: number, to: number): boolean {
    return this.#equals(number, space, this.#viewOf(bytes), from, to - from);
  }

  /** Keeps a copy of a string of 1 byte to 1 MiB that is not there yet; returns its number. */
  add(space: number, bytes: Uint8Array, from = 0, to = bytes.length): number {
    const length = to - from;
    assert(length > 0 && length <= CHUNK_BYTES, 'a string that is empty or longer than a chunk');
    const hash = hashOf(this.#viewOf(bytes), from, length, space);
    this.bytes += length;
    return this.#keep(this.#place(bytes, from, to), { length, space, hash });
  }

  /** Takes over string `number` of the lender, in its space, which is not there yet. */
  borrow(number: number): number {
    const lender = this.#lender;
    assert(lender !== undefined, 'nobody to borrow a string from');
    return this.#keep(lender.#addresses[number]! + LENT, {
      length: lender.#lengths[number]!,
      space: lender.#spaces[number]!,
      hash: lender.#hashes[number]!,
    });
  }

  spaceOf(number: number): number {
    return this.#spaces[number]!;
  }

  /** String `number`, as a view into what is kept. */
  at(number: number): Uint8Array {
    const address = this.#addresses[number]!;
    return new Uint8Array(this.#chunkAt(address).buffer, offsetOf(address), this.#lengths[number]);
  }

  #chunkAt(address: number): DataView {
    if (address < LENT) return this.#chunks[chunkOf(address)]!;
    return this.#lender!.#chunks[chunkOf(address - LENT)]!;
  }

  #keep(address: number, of: { length: number; space: number; hash: number }): number {
    const number = this.count;
    if (number === this.#addresses.length) this.#grow();
    this.#addresses[number] = address;
    this.#lengths[number] = of.length;
    this.#spaces[number] = of.space;
    this.#hashes[number] = of.hash;
    this.count = number + 1;
    this.#enter(number);
    return number;
  }

  #equals(number: number, space: number, view: DataView, from: number, length: number): boolean {
    if (this.#lengths[number] !== length || this.#spaces[number] !== space) return false;
    const address = this.#addresses[number]!;
    const kept = this.#chunkAt(address);
    const keptFrom = offsetOf(address);
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      if (kept.getInt32(keptFrom + at, true) !== view.getInt32(from + at, true)) return false;
    }
    for (; at < length; at++) {
      if (kept.getUint8(keptFrom + at) !== view.getUint8(from + at)) return false;
    }
    return true;
  }

  /** Copies the bytes into a chunk and returns where they are. */
  #place(bytes: Uint8Array, from: number, to: number): number {
    if (this.#chunkBytes + to - from > CHUNK_BYTES) {
      this.#chunks.push(new DataView(new ArrayBuffer(CHUNK_BYTES)));
      this.#chunkBytes = 0;
    }
    const chunk = this.#chunks.length - 1;
    new Uint8Array(this.#chunks[chunk]!.buffer).set(bytes.subarray(from, to), this.#chunkBytes);
    const address = chunk * ADDRESSES_PER_CHUNK + this.#chunkBytes / ALIGNMENT;
    this.#chunkBytes += Math.ceil((to - from) / ALIGNMENT) * ALIGNMENT;
    return address;
  }

  #enter(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[number]! & mask;
    while (this.#slots[slot] !== EMPTY_SLOT) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
  }

  #grow(): void {
    const capacity = this.#addresses.length * 2;
    this.#addresses = grown(this.#addresses, capacity);
    this.#lengths = grown(this.#lengths, capacity);
    this.#spaces = grown(this.#spaces, capacity);
    this.#hashes = grown(this.#hashes, capacity);
    this.#slots = new Uint32Array(capacity * 2);
    for (let number = 0; number < this.count; number++) this.#enter(number);
  }

  #viewOf(bytes: Uint8Array): DataView {
    if (bytes !== this.#viewed) {
      this.#viewed = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return this.#view;
  }
}

function chunkOf(address: number): number {
  return Math.floor(address / ADDRESSES_PER_CHUNK);
}

function offsetOf(address: number): number {
  return (address % ADDRESSES_PER_CHUNK) * ALIGNMENT;
}

function grown(array: Uint32Array<ArrayBuffer>, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity);
  larger.set(array);
  return larger;
}

/** Multiply and rotate, four bytes at a time, then the mixer that MurmurHash3 ends with. */
function hashOf(view: DataView, from: number, length: number, seed: number): number {
  let hash = Math.imul(seed ^ length, 0x9e3779b1);
  const to = from + length;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1);
    hash = (hash << 13) | (hash >>> 19);
  }
  for (; at < to; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

import { assert } from '../base/assert.ts';

/** Bytes from outside that are not what their format says; the message names what and where. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** The text that `bytes` are; bytes that are no UTF-8 become U+FFFD. */
export function utf8Text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

const TWO_53 = 2 ** 53;
/** Seven bits a byte: 2^53 - 1 needs eight. */
const VARINT_BYTES_MAX = 8;

/**
 * Appends to a byte array that grows. Integers are little-endian base 128 ("varint"), as in
 * protobuf; signed ones are zigzag-coded. `clear()` keeps the memory for the next use.
 */
export class ByteWriter {
  /** The bytes written are [0, length); what is behind is rubbish. */
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(Math.max(capacity, VARINT_BYTES_MAX));
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** @param value whole, 0 to 2^53 - 1 */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a varint outside 0 to 2^53 - 1');
    this.reserve(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.length++] = rest;
  }

  /**
   * 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
   *
   * Twice a number near 2^53 is no exact double, so the lowest six bits and the sign go first.
   *
   * @param value whole, -2^53 to 2^53
   */
  zigzag(value: number): void {
    assert(Number.isInteger(value) && Math.abs(value) <= TWO_53, 'a zigzag outside ±2^53');
    const sign = value < 0 ? 1 : 0;
    const magnitude = value < 0 ? -(value + 1) : value;
    const lowest = (magnitude % 64) * 2 + sign;
    if (magnitude < 64) {
      this.byte(lowest);
    } else {
      this.byte(lowest | 0x80);
      this.varint(Math.floor(magnitude / 64));
    }
  }

  /** Four bytes, little-endian. */
  uint32(value: number): void {
    this.reserve(4);
    this.bytes[this.length++] = value;
    this.bytes[this.length++] = value >>> 8;
    this.bytes[this.length++] = value >>> 16;
    this.bytes[this.length++] = value >>> 24;
  }

  /** Copies bytes [from, to) of `source`. */
  raw(source: Uint8Array, from = 0, to = source.length): void {
    assert(from >= 0 && from <= to && to <= source.length, 'bytes outside the source');
    this.reserve(to - from);
    this.bytes.set(source.subarray(from, to), this.length);
    this.length += to - from;
  }

  clear(): void {
    this.length = 0;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/**
 * Reads what a ByteWriter wrote: a cursor over bytes [at, end).
 *
 * Every method throws a DecodeError rather than read beyond the end or return an inexact number.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    assert(at >= 0 && at <= end && end <= bytes.length, 'a reader outside its bytes');
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at === this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw new DecodeError(`cut off at byte ${this.at}`);
    return this.bytes[this.at++]!;
  }

  /** 0 to 2^53 - 1. */
  varint(): number {
    const from = this.at;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value <= Number.MAX_SAFE_INTEGER) return value;
        break;
      }
      scale *= 0x80;
    }
    throw new DecodeError(`the varint at byte ${from} exceeds 2^53 - 1`);
  }

  /** -2^53 to 2^53. */
  zigzag(): number {
    const from = this.at;
    const first = this.byte();
    const lowest = (first & 0x7f) >> 1;
    const rest = first < 0x80 ? 0 : this.varint();
    if (rest > 2 ** 47 || (rest === 2 ** 47 && lowest + (first & 1) > 0)) {
      throw new DecodeError(`the zigzag at byte ${from} exceeds 2^53`);
    }
    const magnitude = rest * 64 + lowest;
    return (first & 1) === 0 ? magnitude : -magnitude - 1;
  }

  /** Four bytes, little-endian, unsigned. */
  uint32(): number {
    const { bytes } = this;
    const at = this.skip(4);
    return (
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    );
  }

  /** The next `count` bytes, as a view into the bytes read. */
  raw(count: number): Uint8Array {
    const from = this.skip(count);
    return this.bytes.subarray(from, from + count);
  }

  /** Passes over `count` bytes and returns where they begin. */
  skip(count: number): number {
    const from = this.at;
    if (count > this.end - from) {
      throw new DecodeError(`${count} bytes at byte ${from} go beyond the end at ${this.end}`);
    }
    this.at = from + count;
    return from;
  }
}

import { DecodeError } from './bytes.ts';

/** The low three bits of a protobuf tag. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LEN = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

/** 64 bits in groups of seven. */
const VARINT_BYTES_MAX = 10;
const TWO_28 = 2 ** 28;
const TWO_32 = 2 ** 32;
const TWO_56 = 2 ** 56;

/**
 * A cursor over the fields of a protobuf message, bytes [at, end), for walkers that build no
 * object per message. A nested message is read by moving `end`: see `enter` and `leave`.
 *
 * Nothing is read beyond `end`; what does not fit throws a DecodeError. Varints may be longer
 * than they need be, as every protobuf decoder allows.
 */
export class FieldCursor {
  readonly bytes: Uint8Array;
  at: number;
  end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Field number · 8 + wire type of the next field. */
  tag(): number {
    const at = this.at;
    const tag = this.uint32();
    if (tag < 8) throw new DecodeError(`the field at byte ${at} has the number 0`);
    return tag;
  }

  /** A length or a tag: a varint below 2^32. */
  uint32(): number {
    const from = this.at;
    if (from < this.end) {
      const byte = this.bytes[from]!;
      if (byte < 0x80) {
        this.at = from + 1;
        return byte;
      }
    }
    let value = 0;
    let scale = 1;
    for (let at = from; at < from + VARINT_BYTES_MAX; at++) {
      if (at >= this.end) throw new DecodeError(`cut off at byte ${at}`);
      const byte = this.bytes[at]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value >= TWO_32) break;
        this.at = at + 1;
        return value;
      }
      scale *= 0x80;
    }
    throw new DecodeError(`the number at byte ${from} exceeds 32 bits`);
  }

  /** An int64: the exact number, or NaN when it is not within ±2^53. */
  int64(): number {
    const from = this.at;
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const at = from + count;
      if (at >= this.end) throw new DecodeError(`cut off at byte ${at}`);
      const byte = this.bytes[at]!;
      const bits = byte & 0x7f;
      if (count < 4) low |= bits << (7 * count);
      else if (count < 8) middle |= bits << (7 * count - 28);
      else high |= bits << (7 * count - 56);
      if (byte < 0x80) {
        this.at = at + 1;
        return exactInt64(low, middle, high & 0xff);
      }
    }
    throw new DecodeError(`the number at byte ${from} exceeds 64 bits`);
  }

  /** Reads the length of a LEN field; returns where its content ends. */
  contentEnd(): number {
    const length = this.uint32();
    if (length > this.end - this.at) {
      throw new DecodeError(
        `${length} bytes at byte ${this.at} go beyond the end of their message at ${this.end}`,
      );
    }
    return this.at + length;
  }

  /** Reads a LEN field; the array is a view into the message. */
  content(): Uint8Array {
    const to = this.contentEnd();
    const content = this.bytes.subarray(this.at, to);
    this.at = to;
    return content;
  }

  /** Narrows the cursor to the content of a LEN field; returns what `leave` wants. */
  enter(): number {
    const outerEnd = this.end;
    this.end = this.contentEnd();
    return outerEnd;
  }

  /** Goes on behind the nested message. */
  leave(outerEnd: number): void {
    this.at = this.end;
    this.end = outerEnd;
  }

  /** Passes over `count` bytes and returns where they begin. */
  take(count: number): number {
    const from = this.at;
    if (count > this.end - from) throw new DecodeError(`cut off at byte ${this.end}`);
    this.at = from + count;
    return from;
  }

  /** Passes over the value of a field whose tag was just read. */
  skip(tag: number): void {
    let depth = 0;
    let current = tag;
    for (;;) {
      const wireType = current & 7;
      if (wireType === GROUP_START) depth++;
      else if (wireType === GROUP_END) depth--;
      else this.#skipScalar(wireType);
      if (depth < 0) throw new DecodeError(`a group ends before byte ${this.at} that never began`);
      if (depth === 0) return;
      current = this.tag();
    }
  }

  #skipScalar(wireType: number): void {
    switch (wireType) {
      case VARINT:
        this.int64();
        break;
      case FIXED64:
        this.take(8);
        break;
      case LEN:
        this.at = this.contentEnd();
        break;
      case FIXED32:
        this.take(4);
        break;
      default:
        throw new DecodeError(`wire type ${wireType} before byte ${this.at} does not exist`);
    }
  }
}

/** Two's complement of 28 + 28 + 8 bits. */
function exactInt64(low: number, middle: number, high: number): number {
  const isWithin =
    high === 0
      ? middle < 2 ** 25 || (middle === 2 ** 25 && low === 0)
      : high === 0xff && middle >= TWO_28 - 2 ** 25;
  if (!isWithin) return Number.NaN;
  return (high === 0 ? 0 : -TWO_56) + middle * TWO_28 + low;
}

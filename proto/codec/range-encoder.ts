import type { BitCoder } from './bit-coder.ts';

/** While the range has nothing here, the top byte of `low` moves out. */
const TOP_BYTE = 0xff000000;
const SECTION_BYTES_MIN = 1024;

/**
 * Binary range encoder: 32-bit range, 16-bit probabilities that move by 1/32 per bit.
 *
 * The interval is [low, low + range). Both are kept as signed 32-bit integers, which V8 holds
 * without a box. A carry runs back into the bytes already written.
 */
export class RangeEncoder implements BitCoder {
  readonly #probabilities: Uint16Array;
  #bytes = new Uint8Array(SECTION_BYTES_MIN);
  #length = 0;
  #low = 0;
  #range = -1;

  constructor(probabilities: Uint16Array) {
    this.#probabilities = probabilities;
  }

  begin(): void {
    this.#length = 0;
    this.#low = 0;
    this.#range = -1;
  }

  bit(context: number, bit: number): number {
    const probability = this.#probabilities[context]!;
    const range = this.#range;
    const ones =
      (Math.imul(range >>> 16, probability) + (Math.imul(range & 0xffff, probability) >>> 16)) | 0;
    if (bit === 1) {
      this.#range = ones;
      this.#probabilities[context] = probability + ((65504 - probability) >> 5);
    } else {
      this.#add(ones);
      this.#range = (range - ones) | 0;
      this.#probabilities[context] = probability - ((probability - 32) >> 5);
    }
    while ((this.#range & TOP_BYTE) === 0) this.#shift();
    return bit;
  }

  evenBits(count: number, value: number): number {
    const step = this.#range >>> count;
    this.#add(Math.imul(step, value));
    this.#range = step | 0;
    while ((this.#range & TOP_BYTE) === 0) this.#shift();
    return value;
  }

  /** A copy of the section; one more byte is enough to point into the last interval. */
  finish(): Uint8Array {
    this.#add(0x00ffffff);
    this.#shift();
    return this.#bytes.slice(0, this.#length);
  }

  #add(amount: number): void {
    const low = (this.#low + amount) | 0;
    if (low >>> 0 < amount >>> 0) this.#carry();
    this.#low = low;
  }

  #carry(): void {
    let at = this.#length - 1;
    while (this.#bytes[at] === 0xff) this.#bytes[at--] = 0;
    this.#bytes[at]!++;
  }

  #shift(): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = this.#low >>> 24;
    this.#low <<= 8;
    this.#range <<= 8;
  }
}

import { DecodeError } from '../bytes.ts';
import type { BitCoder } from './bit-coder.ts';

const TOP_BYTE = 0xff000000;
/** The decoder holds four bytes when the encoder has written the last one: three zeros follow. */
const ZEROS_BEHIND_END = 3;

/** The other end of RangeEncoder: `code` is the section's number relative to the interval's low. */
export class RangeDecoder implements BitCoder {
  readonly #probabilities: Uint16Array;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #code = 0;
  #range = -1;

  constructor(probabilities: Uint16Array) {
    this.#probabilities = probabilities;
  }

  begin(section: Uint8Array): void {
    this.#bytes = section;
    this.#at = 0;
    this.#code = 0;
    for (let count = 0; count < 4; count++) this.#shift();
    this.#range = -1;
  }

  /** @throws DecodeError when the section is cut off */
  bit(context: number, _bit: number): number {
    const probability = this.#probabilities[context]!;
    const range = this.#range;
    const ones =
      (Math.imul(range >>> 16, probability) + (Math.imul(range & 0xffff, probability) >>> 16)) | 0;
    let bit = 0;
    if (this.#code >>> 0 < ones >>> 0) {
      bit = 1;
      this.#range = ones;
      this.#probabilities[context] = probability + ((65504 - probability) >> 5);
    } else {
      this.#code = (this.#code - ones) | 0;
      this.#range = (range - ones) | 0;
      this.#probabilities[context] = probability - ((probability - 32) >> 5);
    }
    while ((this.#range & TOP_BYTE) === 0) this.#shift();
    return bit;
  }

  /** @throws DecodeError when the section is cut off */
  evenBits(count: number, _value: number): number {
    const step = this.#range >>> count;
    // The range's remainder belongs to no value: only bytes that no encoder wrote lead there.
    const value = Math.min(Math.floor((this.#code >>> 0) / step), (1 << count) - 1);
    this.#code = (this.#code - Math.imul(step, value)) | 0;
    this.#range = step | 0;
    while ((this.#range & TOP_BYTE) === 0) this.#shift();
    return value;
  }

  /** @throws DecodeError when the section goes on behind what was decoded */
  finish(): void {
    const used = this.#at - ZEROS_BEHIND_END;
    if (used !== this.#bytes.length) {
      throw new DecodeError(`samples: ${used} of ${this.#bytes.length} bytes used`);
    }
  }

  #shift(): void {
    const at = this.#at++;
    const byte = at < this.#bytes.length ? this.#bytes[at]! : this.#zeroBehindEnd(at);
    this.#code = (this.#code << 8) | byte;
    this.#range <<= 8;
  }

  #zeroBehindEnd(at: number): number {
    if (at >= this.#bytes.length + ZEROS_BEHIND_END) {
      throw new DecodeError(`samples: cut off at byte ${this.#bytes.length}`);
    }
    return 0;
  }
}

import { type BitCoder, codeTree } from './bit-coder.ts';

/** 2^0 to 2^63, by doubling, since a power function need not be exact everywhere. */
export const POWERS_OF_2 = new Float64Array(64);
POWERS_OF_2[0] = 1;
for (let k = 1; k < 64; k++) POWERS_OF_2[k] = POWERS_OF_2[k - 1]! * 2;

/** Bits of a whole number: 0 for 0, n for 2^(n-1) to 2^n - 1; up to 2^64. */
export function bitLength(value: number): number {
  if (value < 0x80000000) return 32 - Math.clz32(value);
  return 64 - Math.clz32(Math.floor(value / 0x100000000));
}

/** `count` (0 to 62) even bits, most significant first, in pieces of 16 and a rest. */
export function codeEvenBits(coder: BitCoder, count: number, value: number): number {
  let coded = 0;
  let rest = value;
  let left = count;
  while (left > 16) {
    left -= 16;
    const scale = POWERS_OF_2[left]!;
    const piece = Math.floor(rest / scale);
    rest -= piece * scale;
    coded += coder.evenBits(16, piece) * scale;
  }
  return left > 0 ? coded + coder.evenBits(left, rest) : coded;
}

/**
 * A whole number from 0: its bit length through a tree of 6 bits at `contexts`, then what is
 * behind the leading one as even bits. A decoder may read up to 2^63 and must judge it.
 */
export function codeNatural(coder: BitCoder, contexts: number, value: number): number {
  return codeNaturalOf(coder, codeTree(coder, contexts, 6, bitLength(value)), value);
}

/** The rest of a whole number whose bit length is known. */
export function codeNaturalOf(coder: BitCoder, length: number, value: number): number {
  if (length < 2) return length;
  const leading = POWERS_OF_2[length - 1]!;
  return leading + codeEvenBits(coder, length - 1, value - leading);
}

/** 0, -1, 1, -2, ... as 0, 1, 2, 3, ...; exact within ±2^52. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

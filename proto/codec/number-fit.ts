import { POWERS_OF_2 } from './integers.ts';
import {
  ACCUMULATED,
  ACCUMULATED_SCALES,
  CORRECTION_MAX,
  DECIMALS,
  isAccumulated,
  isMantissa,
  isShift,
  mantissaValue,
  POWERS_OF_10,
  RAW,
  SHIFT,
  SHIFTS,
  STALE,
  STALE_BITS_HIGH,
  STALE_BITS_LOW,
} from './number-modes.ts';

/** A shift by fewer places gains less than the change of mode costs. */
const SHIFT_MIN = 3;

/**
 * How the encoder writes one changed value: the series' own mode while the value fits it, else
 * the first that fits. It fits when the decoder's arithmetic gives back every bit of it.
 *
 * To the decoder, whose coder ignores what it is given, an unused one stands for all of this.
 */
export class NumberFit {
  /** 1 when the mode is not the one that the series has. */
  escaped = 0;
  mode = 0;
  /** In an accumulated mode, the delta. */
  mantissa = 0;
  /** Ulps to add in an accumulated mode. */
  correction = 0;
  bitsLow = 0;
  bitsHigh = 0;
  readonly #bits = new Uint32Array(4);
  readonly #doubles = new Float64Array(this.#bits.buffer);

  /** @param previous the series' last value, any double */
  choose(bitsLow: number, bitsHigh: number, previous: number, mode: number): void {
    this.bitsLow = bitsLow;
    this.bitsHigh = bitsHigh;
    this.#bits[0] = bitsLow;
    this.#bits[1] = bitsHigh;
    const value = this.#doubles[0]!;
    const isNegativeZero = bitsLow === 0 && bitsHigh === 0x80000000;
    if (value - value === 0 && !isNegativeZero) {
      this.escaped = this.#fits(value, previous, mode) ? 0 : 1;
      if (this.escaped === 1) this.mode = this.#firstFitting(value, previous);
    } else {
      const isStale = bitsLow === STALE_BITS_LOW && bitsHigh === STALE_BITS_HIGH;
      this.escaped = 1;
      this.mode = isStale ? STALE : RAW;
    }
  }

  #firstFitting(value: number, previous: number): number {
    if (Number.isInteger(value) && isMantissa(value)) {
      const zeros = Math.min(trailingZeros(value), SHIFTS - 1);
      const mode = zeros < SHIFT_MIN ? 0 : SHIFT + zeros;
      this.mantissa = mode === 0 ? value : value / POWERS_OF_2[zeros]!;
      return mode;
    }
    for (let mode = 1; mode < DECIMALS; mode++) {
      if (this.#fits(value, previous, mode)) return mode;
    }
    for (let mode = ACCUMULATED; mode < SHIFT; mode++) {
      if (this.#fits(value, previous, mode)) return mode;
    }
    return RAW;
  }

  #fits(value: number, previous: number, mode: number): boolean {
    if (isAccumulated(mode)) return this.#fitsAccumulated(value, previous, mode);
    let mantissa = 0;
    if (mode < DECIMALS) mantissa = Math.round(value * POWERS_OF_10[mode]!) + 0;
    else if (isShift(mode)) mantissa = value / POWERS_OF_2[mode - SHIFT]!;
    else return false;
    if (!isMantissa(mantissa) || !Number.isInteger(mantissa)) return false;
    this.mantissa = mantissa;
    return mantissaValue(mantissa, mode) === value;
  }

  #fitsAccumulated(value: number, previous: number, mode: number): boolean {
    const scale = ACCUMULATED_SCALES[mode - ACCUMULATED]!;
    const delta = Math.round((value - previous) * scale) + 0;
    if (!isMantissa(delta)) return false;
    const bits = this.#bits;
    this.#doubles[1] = previous + delta / scale;
    // Halves of equal sign; a sum that rounds to another sign is far beyond the limit.
    const correction = (bits[1]! - bits[3]!) * 0x100000000 + (bits[0]! - bits[2]!);
    if (correction > CORRECTION_MAX || correction < -CORRECTION_MAX) return false;
    this.mantissa = delta;
    this.correction = correction;
    return true;
  }
}

/** Trailing zero bits of a whole number within ±2^53; 0 has none that matter. */
function trailingZeros(value: number): number {
  if (value === 0) return 0;
  let rest = Math.abs(value);
  let zeros = 0;
  while (rest % 0x10000 === 0) {
    rest /= 0x10000;
    zeros += 16;
  }
  const lowest = rest % 0x10000;
  return zeros + 31 - Math.clz32(lowest & -lowest);
}

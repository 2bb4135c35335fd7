import { POWERS_OF_2 } from './integers.ts';

// How a series' values are written as whole numbers ("mantissas"):
//
//    0 to 9   decimal      v = M / 10^mode
//   12 to 15  accumulated  v = previous + D / scale, then a few ulps up or down
//   16 to 55  shift        v = M · 2^(mode - 16)
//   61        the stale marker 0x7ff0000000000002
//   62        raw          64 bits
//   63        none         no value yet

export const ACCUMULATED = 12;
export const SHIFT = 16;
export const SHIFTS = 40;
export const STALE = 61;
export const RAW = 62;
export const NO_MODE = 63;

export const DECIMALS = 10;
export const POWERS_OF_10 = Float64Array.of(1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9);
/** For sums of durations and prices: hundredths, milli, micro and nano. */
export const ACCUMULATED_SCALES = Float64Array.of(1e2, 1e3, 1e6, 1e9);
/** Two mantissas, two deltas and a delta and a prediction then differ by less than 2^53. */
export const MANTISSA_END = 2e15;
export const CORRECTION_MAX = 32;

export const STALE_BITS_HIGH = 0x7ff00000;
export const STALE_BITS_LOW = 2;

export function isAccumulated(mode: number): boolean {
  return mode >= ACCUMULATED && mode < SHIFT;
}

export function isShift(mode: number): boolean {
  return mode >= SHIFT && mode < SHIFT + SHIFTS;
}

/** Does the mode write values as mantissas? */
export function isNumeric(mode: number): boolean {
  return mode < DECIMALS || isAccumulated(mode) || isShift(mode);
}

export function isMantissa(mantissa: number): boolean {
  return mantissa > -MANTISSA_END && mantissa < MANTISSA_END;
}

/** The mantissa nearest to `value` in a mode just entered: 0 where there is none near. */
export function nearestMantissa(value: number, mode: number): number {
  if (isAccumulated(mode)) return 0;
  const scaled = mode < DECIMALS ? value * POWERS_OF_10[mode]! : value / POWERS_OF_2[mode - SHIFT]!;
  const mantissa = Math.round(scaled);
  // Adding 0 makes a zero of a negative zero.
  return isMantissa(mantissa) ? mantissa + 0 : 0;
}

/** The value of a mantissa in a decimal or shift mode. */
export function mantissaValue(mantissa: number, mode: number): number {
  return mode < DECIMALS ? mantissa / POWERS_OF_10[mode]! : mantissa * POWERS_OF_2[mode - SHIFT]!;
}

// Where the fields of a series stand in the columns of SeriesState that hold several of a series.

// A series' row of `numbers`: so many, in this order.
export const NUMBERS = 4;
export const MANTISSA = 0;
export const DELTA = 1;
export const MEAN_DELTA = 2;
export const MEAN_MANTISSA = 3;

// A series' row of `traits`: so many bytes, in this order.
export const TRAITS = 8;
export const NUMBER_MODE = 0;
export const NEIGHBOUR_HITS = 1;
export const PARTNER_HITS = 2;
/** Of the last residual: 0 none yet, 1 not negative, 2 negative. */
export const SIGN = 3;
/** Bit length of the last correction, at most 7. */
export const CORRECTION_LENGTH = 4;

// The adaptive probabilities of a stream lie in one array, so that the decoder can put them back
// as a whole. Each name is where its contexts begin; what follows is how many there are.

/** Is the value another one? Rate 16, own flags 4, neighbours 8, hints 4. */
export const CHANGED = 0;
/** Does the number mode change? Mode 64, calm 2. */
export const ESCAPED = CHANGED + 16 * 4 * 8 * 4;
/** The new number mode: a tree of 6 bits. */
export const MODE = ESCAPED + 64 * 2;
/** Is the delta that of the neighbour? Hits 4, the neighbour before 2. */
export const AS_NEIGHBOUR = MODE + 64;
/** Is the delta that of the partner? Hits 16. */
export const AS_PARTNER = AS_NEIGHBOUR + 8;
/** Is the residual zero? Cost 512, predictor 4. */
export const RESIDUAL_ZERO = AS_PARTNER + 16;
/** Is the residual negative? Predictor 4, last sign 3, escaped 2, cost 16. */
export const RESIDUAL_SIGN = RESIDUAL_ZERO + 512 * 4;
/** The residual's bit length: a tree of 6 bits for each of 512 costs. */
export const RESIDUAL_LENGTH = RESIDUAL_SIGN + 4 * 3 * 2 * 16;
/** The two bits behind its leading one. Length 64, cost 2, place 8. */
export const RESIDUAL_TOP = RESIDUAL_LENGTH + 512 * 64;
/** Ulps that an accumulated decimal is off: a tree of 7 bits for each of 8 last ones. */
export const CORRECTION = RESIDUAL_TOP + 64 * 16;
/** Does the group follow that it followed last time? */
export const GROUP_FOLLOWS = CORRECTION + 8 * 128;
/** Are the rows listed singly? */
export const LISTED = GROUP_FOLLOWS + 1;
/** Is the new series the one behind the last new one? */
export const ID_FOLLOWS = LISTED + 1;

// Whole numbers (integers.ts) of a block's head: a tree of 6 bits for the bit length of each.
export const GROUP = ID_FOLLOWS + 1;
export const TIMESTAMP = GROUP + 64;
export const RUNS = TIMESTAMP + 64;
export const RUN_GAP = RUNS + 64;
export const RUN_LENGTH = RUN_GAP + 64;
export const ROWS = RUN_LENGTH + 64;
export const ROW_GAP = ROWS + 64;
export const NEW_SERIES = ROW_GAP + 64;
export const NEW_ID = NEW_SERIES + 64;

const CONTEXTS = NEW_ID + 64;

/** Fresh probabilities of a 1, in 65536ths: every bit is as likely as not. */
export function createProbabilities(): Uint16Array {
  return new Uint16Array(CONTEXTS).fill(0x8000);
}

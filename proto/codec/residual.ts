import { type BitCoder, codeTree } from './bit-coder.ts';
import * as contexts from './contexts.ts';
import { bitLength, codeEvenBits, POWERS_OF_2 } from './integers.ts';
import * as columns from './series-columns.ts';
import type { SeriesState } from './series-state.ts';

// V8 folds a constant of the module itself; one that is imported it loads at every use.
const { RESIDUAL_LENGTH, RESIDUAL_SIGN, RESIDUAL_TOP, RESIDUAL_ZERO } = contexts;
const { SIGN, TRAITS } = columns;

/** Predictors of a delta, in the order of `costs`. */
const BY_ZERO = 0;
export const BY_MEAN_DELTA = 1;
export const BY_LAST_DELTA = 2;
export const BY_MEAN_MANTISSA = 3;
export const PREDICTORS = 4;

/**
 * What is left of a delta behind its prediction: zero or not, sign, bit length, and of the
 * mantissa two modelled bits, the rest even. The predictor's running cost is the context: it says
 * how long the residual is likely to be.
 *
 * @param cost 0 to 2047
 */
export function codeResidual(
  coder: BitCoder,
  state: SeriesState,
  series: number,
  predictor: number,
  cost: number,
  escaped: number,
  residual: number,
): number {
  const predictorClass = predictor === BY_ZERO ? 0 : predictor === BY_MEAN_MANTISSA ? 2 : 1;
  const costContext = Math.min(127, cost >> 4) * 4 + predictorClass;
  if (predictor !== BY_ZERO) {
    const context = RESIDUAL_ZERO + costContext * 4 + predictor;
    if (coder.bit(context, residual === 0 ? 1 : 0) === 1) return 0;
  }
  const signContext =
    ((predictor * 3 + state.traits[series * TRAITS + SIGN]!) * 2 + escaped) * 16 +
    Math.min(15, cost >> 5);
  const negative = coder.bit(RESIDUAL_SIGN + signContext, residual < 0 ? 1 : 0);
  state.traits[series * TRAITS + SIGN] = 1 + negative;
  const wanted = Math.abs(residual);
  const lengthContexts = RESIDUAL_LENGTH + costContext * 64;
  const length = codeTree(coder, lengthContexts, 6, bitLength(wanted));
  const magnitude = codeMagnitude(coder, length, cost, wanted);
  return negative === 1 ? 0 - magnitude : magnitude;
}

function codeMagnitude(coder: BitCoder, length: number, cost: number, wanted: number): number {
  if (length < 2) return length;
  const contexts = RESIDUAL_TOP + length * 16 + (cost >> 4 >= length * 2 ? 8 : 0);
  let left = length - 1;
  let magnitude = POWERS_OF_2[left]!;
  let next = POWERS_OF_2[--left]!;
  const second = coder.bit(contexts + 1, wanted >= magnitude + next ? 1 : 0);
  magnitude += second * next;
  if (left === 0) return magnitude;
  next = POWERS_OF_2[--left]!;
  magnitude += coder.bit(contexts + 2 + second, wanted >= magnitude + next ? 1 : 0) * next;
  return magnitude + codeEvenBits(coder, left, wanted - magnitude);
}

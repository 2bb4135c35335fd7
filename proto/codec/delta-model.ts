import type { BitCoder } from './bit-coder.ts';
import * as contexts from './contexts.ts';
import { bitLength } from './integers.ts';
import type { Neighbours } from './neighbours.ts';
import { isAccumulated } from './number-modes.ts';
import type { PartnerTable } from './partner-table.ts';
import * as residuals from './residual.ts';
import { codeResidual } from './residual.ts';
import * as columns from './series-columns.ts';
import type { SeriesState } from './series-state.ts';

// V8 folds a constant of the module itself; one that is imported it loads at every use.
const { AS_NEIGHBOUR, AS_PARTNER } = contexts;
const { BY_LAST_DELTA, BY_MEAN_DELTA, BY_MEAN_MANTISSA, PREDICTORS } = residuals;
const {
  DELTA,
  MEAN_DELTA,
  MEAN_MANTISSA,
  NEIGHBOUR_HITS,
  NUMBERS,
  NUMBER_MODE,
  PARTNER_HITS,
  TRAITS,
} = columns;

const NEIGHBOUR_HITS_MAX = 7;
const PARTNER_HITS_MAX = 15;
/** Smaller deltas are too common to make partners. */
const PARTNER_DELTA_MIN = 16;
/** Added to a predictor's residual, in 32nds of a bit, so that a draw goes to the simplest. */
const HANDICAPS = Int16Array.of(0, 8, 4, 8);

/** How far a mantissa moves: as the neighbour's or the partner's, or as predicted and the rest. */
export class DeltaModel {
  readonly #coder: BitCoder;
  readonly #state: SeriesState;
  readonly #neighbours: Neighbours;
  readonly #partners: PartnerTable;
  readonly #predictions = new Float64Array(PREDICTORS);

  constructor(coder: BitCoder, state: SeriesState, neighbours: Neighbours, partners: PartnerTable) {
    this.#coder = coder;
    this.#state = state;
    this.#neighbours = neighbours;
    this.#partners = partners;
  }

  /**
   * Codes and learns one delta.
   *
   * @param mantissa where the series stands; 0 in an accumulated mode
   * @param escaped 1 when the mode is new
   */
  code(series: number, mode: number, mantissa: number, escaped: number, wanted: number): number {
    const block = this.#state.lastBlocks[series]!;
    this.#predict(series, mantissa);
    if (this.#codeAsNeighbour(series, mode, wanted)) {
      return this.#learn(series, mode, this.#neighbours.delta);
    }
    const partner = this.#partnerWithDelta(series, mode, block);
    if (partner >= 0 && this.#codeAsPartner(series, partner, wanted)) {
      const delta = this.#state.numbers[partner * NUMBERS + DELTA]!;
      if (isLarge(delta)) this.#partners.meet(series, delta, block);
      return this.#learn(series, mode, delta);
    }
    const delta = this.#codePredicted(series, mode, escaped, wanted);
    if (isLarge(delta)) this.#findPartner(series, mode, delta, block);
    return this.#learn(series, mode, delta);
  }

  #predict(series: number, mantissa: number): void {
    const state = this.#state;
    this.#predictions[BY_MEAN_DELTA] = Math.round(state.numbers[series * NUMBERS + MEAN_DELTA]!);
    this.#predictions[BY_LAST_DELTA] = state.numbers[series * NUMBERS + DELTA]!;
    this.#predictions[BY_MEAN_MANTISSA] =
      Math.round(state.numbers[series * NUMBERS + MEAN_MANTISSA]!) - mantissa;
  }

  #codeAsNeighbour(series: number, mode: number, wanted: number): boolean {
    const neighbours = this.#neighbours;
    if (neighbours.changed === 0 || neighbours.mode !== mode) return false;
    const hits = this.#state.traits[series * TRAITS + NEIGHBOUR_HITS]!;
    const context = hits > 3 ? 3 : hits | (neighbours.changedBefore << 2);
    const equal = this.#coder.bit(AS_NEIGHBOUR + context, wanted === neighbours.delta ? 1 : 0);
    if (equal === 0) this.#state.traits[series * TRAITS + NEIGHBOUR_HITS] = hits >> 1;
    else if (hits < NEIGHBOUR_HITS_MAX)
      this.#state.traits[series * TRAITS + NEIGHBOUR_HITS] = hits + 1;
    return equal === 1;
  }

  /** The partner, provided that its mantissa changed earlier in this block and in the same mode. */
  #partnerWithDelta(series: number, mode: number, block: number): number {
    const state = this.#state;
    const partner = state.partners[series]!;
    if (partner < 0 || state.lastBlocks[partner] !== block) return -1;
    const hasChanged = (state.recents[partner]! & 0x100) !== 0;
    return hasChanged && state.traits[partner * TRAITS + NUMBER_MODE] === mode ? partner : -1;
  }

  #codeAsPartner(series: number, partner: number, wanted: number): boolean {
    const hits = this.#state.traits[series * TRAITS + PARTNER_HITS]!;
    const isEqual = wanted === this.#state.numbers[partner * NUMBERS + DELTA] ? 1 : 0;
    const equal = this.#coder.bit(AS_PARTNER + hits, isEqual);
    if (equal === 0) this.#state.traits[series * TRAITS + PARTNER_HITS] = hits >> 2;
    else if (hits < PARTNER_HITS_MAX) this.#state.traits[series * TRAITS + PARTNER_HITS] = hits + 1;
    return equal === 1;
  }

  #codePredicted(series: number, mode: number, escaped: number, wanted: number): number {
    const { costs } = this.#state;
    const first = series * 4;
    const predictors = isAccumulated(mode) ? BY_MEAN_MANTISSA : PREDICTORS;
    let predictor = 0;
    let cost = costs[first]!;
    for (let other = 1; other < predictors; other++) {
      if (costs[first + other]! < cost) {
        predictor = other;
        cost = costs[first + other]!;
      }
    }
    const prediction = this.#predictions[predictor]!;
    const residual = wanted - prediction;
    return (
      prediction +
      codeResidual(this.#coder, this.#state, series, predictor, cost, escaped, residual)
    );
  }

  #findPartner(series: number, mode: number, delta: number, block: number): void {
    const state = this.#state;
    const met = this.#partners.meet(series, delta, block);
    if (met < 0 || state.traits[series * TRAITS + PARTNER_HITS] !== 0) return;
    if (
      state.numbers[met * NUMBERS + DELTA] === delta &&
      state.traits[met * TRAITS + NUMBER_MODE] === mode
    )
      state.partners[series] = met;
  }

  #learn(series: number, mode: number, delta: number): number {
    const state = this.#state;
    const { costs } = state;
    const first = series * 4;
    const predictors = isAccumulated(mode) ? BY_MEAN_MANTISSA : PREDICTORS;
    for (let predictor = 0; predictor < predictors; predictor++) {
      const residual = Math.abs(delta - this.#predictions[predictor]!);
      const bits = bitLength(residual) * 32 + HANDICAPS[predictor]!;
      costs[first + predictor]! += (bits - costs[first + predictor]!) >> 3;
    }
    const mean = state.numbers[series * NUMBERS + MEAN_DELTA]!;
    state.numbers[series * NUMBERS + MEAN_DELTA] =
      mean + (delta - mean) * (mean === 0 ? 0.5 : 0.125);
    state.numbers[series * NUMBERS + DELTA] = delta;
    this.#neighbours.delta = delta;
    this.#neighbours.mode = mode;
    return delta;
  }
}

function isLarge(delta: number): boolean {
  return delta >= PARTNER_DELTA_MIN || delta <= -PARTNER_DELTA_MIN;
}

import { DecodeError } from '../bytes.ts';
import { type BitCoder, codeTree } from './bit-coder.ts';
import * as contexts from './contexts.ts';
import { DeltaModel } from './delta-model.ts';
import { bitLength, unzigzag, zigzag } from './integers.ts';
import { Neighbours } from './neighbours.ts';
import type { NumberFit } from './number-fit.ts';
import * as modes from './number-modes.ts';
import {
  isAccumulated,
  isMantissa,
  isNumeric,
  mantissaValue,
  nearestMantissa,
} from './number-modes.ts';
import { PartnerTable } from './partner-table.ts';
import * as columns from './series-columns.ts';
import type { SeriesState } from './series-state.ts';

// V8 folds a constant of the module itself; one that is imported it loads at every use.
const { CHANGED, CORRECTION, ESCAPED, MODE } = contexts;
const {
  ACCUMULATED,
  ACCUMULATED_SCALES,
  CORRECTION_MAX,
  NO_MODE,
  RAW,
  STALE,
  STALE_BITS_HIGH,
  STALE_BITS_LOW,
} = modes;
const {
  CORRECTION_LENGTH,
  DELTA,
  MANTISSA,
  MEAN_MANTISSA,
  NEIGHBOUR_HITS,
  NUMBERS,
  NUMBER_MODE,
  TRAITS,
} = columns;

/** Where the classes of a rate behind the first begin, in 1024ths. */
const RATE_CLASS_BEGINS = [5, 13, 25, 51, 102, 205, 344, 512, 672, 812, 906, 961, 992, 1008, 1017];
const RATE_CLASSES = new Uint8Array(1024);
for (const begin of RATE_CLASS_BEGINS) {
  for (let rate = begin; rate < 1024; rate++) RATE_CLASSES[rate]!++;
}

/**
 * The value of one sample after another, each in the light of its series and its block. Encoder
 * and decoder run these lines; only their coder differs.
 */
export class SampleModel {
  readonly #coder: BitCoder;
  readonly #state: SeriesState;
  readonly #neighbours = new Neighbours();
  readonly #partners = new PartnerTable();
  readonly #deltas: DeltaModel;

  constructor(coder: BitCoder, state: SeriesState) {
    this.#coder = coder;
    this.#state = state;
    this.#deltas = new DeltaModel(coder, state, this.#neighbours, this.#partners);
  }

  beginBlock(): void {
    this.#neighbours.beginBlock();
  }

  /** Needed before block numbers are used again. */
  forgetBlocks(): void {
    this.#partners.clear();
  }

  /** Is the value of the series' sample in the block `block` another one? */
  codeChanged(series: number, block: number, wanted: number): number {
    const state = this.#state;
    const neighbours = this.#neighbours;
    const recent = state.recents[series]!;
    const mode = state.traits[series * TRAITS + NUMBER_MODE]!;
    const around =
      (neighbours.changed << 2) |
      (neighbours.changedBefore << 1) |
      (state.traits[series * TRAITS + NEIGHBOUR_HITS]! > 0 ? 1 : 0);
    const hints =
      (mode === STALE || mode === NO_MODE ? 2 : 0) |
      (neighbours.changed === 1 && neighbours.delta === state.numbers[series * NUMBERS + DELTA]
        ? 1
        : 0);
    const own = (RATE_CLASSES[recent >>> 22]! << 2) | ((recent >>> 8) & 3);
    const changed = this.#coder.bit(CHANGED + ((((own << 3) | around) << 2) | hints), wanted);
    state.touch(series, block, changed);
    if (changed === 0) neighbours.pass(0);
    return changed;
  }

  /**
   * The new value of a series that changed.
   *
   * @throws DecodeError where no encoder can have written it
   */
  codeValue(series: number, wanted: NumberFit): void {
    const state = this.#state;
    let mode = state.traits[series * TRAITS + NUMBER_MODE]!;
    const calm = (state.recents[series]! & 0xfe00) === 0 ? 1 : 0;
    const escaped = this.#coder.bit(ESCAPED + ((mode << 1) | calm), wanted.escaped);
    if (escaped === 1) {
      mode = codeTree(this.#coder, MODE, 6, wanted.mode);
      state.traits[series * TRAITS + NUMBER_MODE] = mode;
    }
    if (!isNumeric(mode)) {
      this.#codeSpecial(series, escaped === 1 ? mode : NO_MODE, wanted);
      this.#neighbours.pass(0);
      return;
    }
    if (escaped === 1) state.beginMode(series, nearestMantissa(state.values[series]!, mode));
    if (isAccumulated(mode)) this.#codeAccumulated(series, mode, escaped, wanted);
    else this.#codeMantissa(series, mode, escaped, wanted);
    this.#neighbours.pass(1);
  }

  #codeSpecial(series: number, mode: number, wanted: NumberFit): void {
    const state = this.#state;
    if (mode === STALE) {
      state.bits[series * 2] = STALE_BITS_LOW;
      state.bits[series * 2 + 1] = STALE_BITS_HIGH;
      state.end(series);
    } else if (mode === RAW) {
      state.bits[series * 2 + 1] = this.#codeUint32(wanted.bitsHigh);
      state.bits[series * 2] = this.#codeUint32(wanted.bitsLow);
      state.numbers[series * NUMBERS + DELTA] = 0;
    } else {
      throw new DecodeError(`samples: a value in number mode ${mode}`);
    }
  }

  #codeUint32(wanted: number): number {
    const high = this.#coder.evenBits(16, wanted >>> 16);
    return ((high << 16) | this.#coder.evenBits(16, wanted & 0xffff)) >>> 0;
  }

  #codeMantissa(series: number, mode: number, escaped: number, wanted: NumberFit): void {
    const state = this.#state;
    const from = state.numbers[series * NUMBERS + MANTISSA]!;
    const mantissa = from + this.#deltas.code(series, mode, from, escaped, wanted.mantissa - from);
    if (!isMantissa(mantissa)) throw new DecodeError(`samples: a mantissa of ${mantissa}`);
    state.numbers[series * NUMBERS + MANTISSA] = mantissa;
    state.numbers[series * NUMBERS + MEAN_MANTISSA]! +=
      (mantissa - state.numbers[series * NUMBERS + MEAN_MANTISSA]!) * 0.125;
    state.values[series] = mantissaValue(mantissa, mode);
  }

  #codeAccumulated(series: number, mode: number, escaped: number, wanted: NumberFit): void {
    const state = this.#state;
    const delta = this.#deltas.code(series, mode, 0, escaped, wanted.mantissa);
    const contexts = CORRECTION + state.traits[series * TRAITS + CORRECTION_LENGTH]! * 128;
    const correction = unzigzag(codeTree(this.#coder, contexts, 7, zigzag(wanted.correction)));
    const value = state.values[series]! + delta / ACCUMULATED_SCALES[mode - ACCUMULATED]!;
    if (!isMantissa(delta) || Math.abs(correction) > CORRECTION_MAX || !Number.isFinite(value)) {
      throw new DecodeError(`samples: a sum moved by ${delta} and ${correction} ulps`);
    }
    state.traits[series * TRAITS + CORRECTION_LENGTH] = Math.min(
      7,
      bitLength(Math.abs(correction)),
    );
    state.values[series] = value;
    addUlps(state.bits, series * 2, correction);
  }
}

/** Adds `ulps` to the 64-bit number whose low half is at `low`. */
function addUlps(bits: Uint32Array, low: number, ulps: number): void {
  const sum = bits[low]! + ulps;
  bits[low] = sum;
  if (sum < 0) bits[low + 1]!--;
  else if (sum > 0xffffffff) bits[low + 1]!++;
}

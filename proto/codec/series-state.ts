import { NO_MODE } from './number-modes.ts';
import {
  DELTA,
  MANTISSA,
  MEAN_DELTA,
  MEAN_MANTISSA,
  NUMBER_MODE,
  NUMBERS,
  TRAITS,
} from './series-columns.ts';
import { grown } from './typed-arrays.ts';

const SERIES_MIN = 64;
/** Blocks in which a series may miss before it is no longer expected. */
const LIVES = 3;
const LIVES_MASK = 0xff;
const RATE_AT_FIRST = 8000;

/**
 * What the model remembers of each series, 68 bytes in columns, by the series' number in the
 * stream. What a change of value reads together stands together; the undo log has the same columns.
 */
export class SeriesState {
  count = 0;

  // Touched by every sample.
  /** Number of the block in which the series last had a sample. */
  lastBlocks = new Uint32Array(SERIES_MIN);
  /**
   * Rate << 16 | history << 8 | lives: how often the value changes, in 65536ths; changed or not for
   * the last eight samples, newest in the lowest bit; blocks that the series may yet miss, 0 when
   * it is not expected. In one number, since every sample writes all three.
   */
  recents = new Uint32Array(SERIES_MIN);

  // Touched by a change only.
  /** The last value's bits, low half first; `values` lies over them. */
  bits = new Uint32Array(SERIES_MIN * 2);
  values = new Float64Array(this.bits.buffer);
  numbers = new Float64Array(SERIES_MIN * NUMBERS);
  traits = new Uint8Array(SERIES_MIN * TRAITS);
  /** Lies over `traits`, to copy them four at a time. */
  #traitWords = new Uint32Array(this.traits.buffer);
  /** Running bit length of the residual of each of four predictors, in 32nds of a bit. */
  costs = new Int16Array(SERIES_MIN * 4);
  /** Lies over `costs`, to copy them two at a time. */
  #costPairs = new Int32Array(this.costs.buffer);
  /** A series that had the same delta in the same block; -1: none. */
  partners = new Int32Array(SERIES_MIN);

  /** Adds a series that has no value yet and returns its number. */
  add(): number {
    const series = this.count;
    this.#reserve(series + 1);
    this.count = series + 1;
    this.lastBlocks[series] = 0;
    this.recents[series] = RATE_AT_FIRST << 16;
    this.bits[series * 2] = 0;
    this.bits[series * 2 + 1] = 0;
    this.partners[series] = -1;
    this.#traitWords[series * 2] = 0;
    this.#traitWords[series * 2 + 1] = 0;
    this.traits[series * TRAITS + NUMBER_MODE] = NO_MODE;
    this.beginMode(series, 0);
    return series;
  }

  /** Forgets what was learned of deltas; the values in the new mode begin near `mantissa`. */
  beginMode(series: number, mantissa: number): void {
    this.numbers[series * NUMBERS + MANTISSA] = mantissa;
    this.numbers[series * NUMBERS + DELTA] = 0;
    this.numbers[series * NUMBERS + MEAN_DELTA] = 0;
    this.numbers[series * NUMBERS + MEAN_MANTISSA] = mantissa;
    this.costs[series * 4] = 256;
    this.costs[series * 4 + 1] = 288;
    this.costs[series * 4 + 2] = 320;
    this.costs[series * 4 + 3] = 288;
  }

  /** Notes a sample, its value changed (1) or not (0), in the block `block`. */
  touch(series: number, block: number, changed: number): void {
    const recent = this.recents[series]!;
    const rate = recent >>> 16;
    const nextRate = changed === 1 ? rate + ((65535 - rate) >> 4) : rate - (rate >> 4);
    const nextHistory = ((recent >>> 7) & 0xfe) | changed;
    this.recents[series] = (nextRate << 16) | (nextHistory << 8) | LIVES;
    this.lastBlocks[series] = block;
  }

  /** Notes that a sample which was expected did not come. */
  miss(series: number): void {
    this.recents[series]!--;
  }

  /** Notes that no further sample is expected. */
  end(series: number): void {
    this.recents[series]! &= ~LIVES_MASK;
  }

  /**
   * Whether a member is likely to have a sample in a block: it has not missed too often, no stale
   * marker ended it, and no block before it had it at this timestamp (a scrape may come in parts).
   *
   * @param firstBlock number of the first block of the group at this timestamp
   */
  isExpected(series: number, firstBlock: number): boolean {
    return (this.recents[series]! & LIVES_MASK) !== 0 && this.lastBlocks[series]! < firstBlock;
  }

  /** Row `from` of `other` to row `to`: what a change touches. Every changed sample runs this. */
  copyChanged(other: SeriesState, from: number, to: number): void {
    this.bits[to * 2] = other.bits[from * 2]!;
    this.bits[to * 2 + 1] = other.bits[from * 2 + 1]!;
    const mine = to * NUMBERS;
    const theirs = from * NUMBERS;
    this.numbers[mine] = other.numbers[theirs]!;
    this.numbers[mine + 1] = other.numbers[theirs + 1]!;
    this.numbers[mine + 2] = other.numbers[theirs + 2]!;
    this.numbers[mine + 3] = other.numbers[theirs + 3]!;
    this.#traitWords[to * 2] = other.#traitWords[from * 2]!;
    this.#traitWords[to * 2 + 1] = other.#traitWords[from * 2 + 1]!;
    this.#costPairs[to * 2] = other.#costPairs[from * 2]!;
    this.#costPairs[to * 2 + 1] = other.#costPairs[from * 2 + 1]!;
    this.partners[to] = other.partners[from]!;
  }

  #reserve(count: number): void {
    if (count > this.lastBlocks.length) {
      const capacity = this.lastBlocks.length * 2;
      this.lastBlocks = grown(this.lastBlocks, new Uint32Array(capacity));
      this.recents = grown(this.recents, new Uint32Array(capacity));
    }
    this.reserveChanged(count);
  }

  /** Makes room for `count` rows of what a change touches. */
  reserveChanged(count: number): void {
    if (count <= this.partners.length) return;
    const capacity = Math.max(count, this.partners.length * 2);
    this.bits = grown(this.bits, new Uint32Array(capacity * 2));
    this.values = new Float64Array(this.bits.buffer);
    this.numbers = grown(this.numbers, new Float64Array(capacity * NUMBERS));
    this.traits = grown(this.traits, new Uint8Array(capacity * TRAITS));
    this.#traitWords = new Uint32Array(this.traits.buffer);
    this.costs = grown(this.costs, new Int16Array(capacity * 4));
    this.#costPairs = new Int32Array(this.costs.buffer);
    this.partners = grown(this.partners, new Int32Array(capacity));
  }
}

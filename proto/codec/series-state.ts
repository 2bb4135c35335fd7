import { NO_MODE } from './number-modes.ts';
import { grown } from './typed-arrays.ts';

const SERIES_MIN = 64;
/** Blocks in which a series may miss before it is no longer expected. */
const LIVES = 3;
const LIVES_MASK = 0xff;
const RATE_AT_FIRST = 8000;

/**
 * What the model remembers of each series, about 65 bytes in columns, by the series' number in the
 * stream. The decoder's undo log has the same columns.
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
  mantissas = new Float64Array(SERIES_MIN);
  deltas = new Float64Array(SERIES_MIN);
  meanDeltas = new Float64Array(SERIES_MIN);
  meanMantissas = new Float64Array(SERIES_MIN);
  /** Running bit length of the residual of each of four predictors, in 32nds of a bit. */
  costs = new Int16Array(SERIES_MIN * 4);
  /** Lies over `costs`, to copy them two at a time. */
  #costPairs = new Int32Array(this.costs.buffer);
  /** A series that had the same delta in the same block; -1: none. */
  partners = new Int32Array(SERIES_MIN);
  partnerHits = new Uint8Array(SERIES_MIN);
  neighbourHits = new Uint8Array(SERIES_MIN);
  modes = new Uint8Array(SERIES_MIN);
  /** Of the last residual: 0 none yet, 1 not negative, 2 negative. */
  signs = new Uint8Array(SERIES_MIN);
  /** Bit length of the last correction, at most 7. */
  correctionLengths = new Uint8Array(SERIES_MIN);

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
    this.partnerHits[series] = 0;
    this.neighbourHits[series] = 0;
    this.modes[series] = NO_MODE;
    this.signs[series] = 0;
    this.correctionLengths[series] = 0;
    this.beginMode(series, 0);
    return series;
  }

  /** Forgets what was learned of deltas; the values in the new mode begin near `mantissa`. */
  beginMode(series: number, mantissa: number): void {
    this.mantissas[series] = mantissa;
    this.deltas[series] = 0;
    this.meanDeltas[series] = 0;
    this.meanMantissas[series] = mantissa;
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

  /** Row `from` of `other` to row `to`: what a change touches. */
  copyChanged(other: SeriesState, from: number, to: number): void {
    this.bits[to * 2] = other.bits[from * 2]!;
    this.bits[to * 2 + 1] = other.bits[from * 2 + 1]!;
    this.mantissas[to] = other.mantissas[from]!;
    this.deltas[to] = other.deltas[from]!;
    this.meanDeltas[to] = other.meanDeltas[from]!;
    this.meanMantissas[to] = other.meanMantissas[from]!;
    this.#costPairs[to * 2] = other.#costPairs[from * 2]!;
    this.#costPairs[to * 2 + 1] = other.#costPairs[from * 2 + 1]!;
    this.partners[to] = other.partners[from]!;
    this.partnerHits[to] = other.partnerHits[from]!;
    this.neighbourHits[to] = other.neighbourHits[from]!;
    this.modes[to] = other.modes[from]!;
    this.signs[to] = other.signs[from]!;
    this.correctionLengths[to] = other.correctionLengths[from]!;
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
    if (count <= this.mantissas.length) return;
    const capacity = Math.max(count, this.mantissas.length * 2);
    this.bits = grown(this.bits, new Uint32Array(capacity * 2));
    this.values = new Float64Array(this.bits.buffer);
    this.mantissas = grown(this.mantissas, new Float64Array(capacity));
    this.deltas = grown(this.deltas, new Float64Array(capacity));
    this.meanDeltas = grown(this.meanDeltas, new Float64Array(capacity));
    this.meanMantissas = grown(this.meanMantissas, new Float64Array(capacity));
    this.costs = grown(this.costs, new Int16Array(capacity * 4));
    this.#costPairs = new Int32Array(this.costs.buffer);
    this.partners = grown(this.partners, new Int32Array(capacity));
    this.partnerHits = grown(this.partnerHits, new Uint8Array(capacity));
    this.neighbourHits = grown(this.neighbourHits, new Uint8Array(capacity));
    this.modes = grown(this.modes, new Uint8Array(capacity));
    this.signs = grown(this.signs, new Uint8Array(capacity));
    this.correctionLengths = grown(this.correctionLengths, new Uint8Array(capacity));
  }
}

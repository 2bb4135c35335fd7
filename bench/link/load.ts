import { assert } from '../../base/assert.ts';
import { encodeLabels, forEachLabel } from '../../proto/label-set.ts';
import type { CapturedSamples } from '../captured-samples.ts';

/** After so long the capture begins anew: its 20 minutes and a scrape interval, in ms. */
const CAPTURE_MS = 1_215_000;
/** As many samples as a Prometheus puts into one request. */
const PUSH_SAMPLES_MAX = 2000;
/** Tells the copies of a series apart; the first copy stays as it was captured. */
const COPY_LABEL = Buffer.from('copy');
const GOLDEN_RATIO = 0.618_033_988_75;

export interface LoadOptions {
  /** Samples are taken for so long; at most 1200. */
  seconds: number;
  /** Undefined: as many as the capture has. */
  series?: number | undefined;
}

/** What one request carries: rows [from, to) of `Load.rowsByTime`. */
export interface Push {
  /** When the samples are taken, in ms since the start. */
  atMs: number;
  copy: number;
  from: number;
  to: number;
}

/**
 * The capture at its own pace, its timestamps moved, and multiplied: each copy has a label of its
 * own and begins at another moment of the capture, so that neither the load comes in bursts nor
 * equal values stand side by side. Both ends of a run derive the same samples from the options.
 */
export class Load {
  readonly samples: CapturedSamples;
  readonly copies: number;
  readonly seriesCount: number;
  /** Samples of the whole run. */
  readonly expected: number;
  readonly endMs: number;
  readonly rowsByTime: Uint32Array;
  /** Of the last copy only so many series are sent. */
  readonly #lastCopySeries: number;
  readonly #captured: number;
  /** Milliseconds since the start of the capture, by row. */
  readonly #moments: Float64Array;
  /** Rows of each captured series by time, one series behind the other. */
  readonly #rows: Uint32Array;
  readonly #firstRows: Uint32Array;
  /** By series number: samples of the series before. */
  readonly #firstSamples: Uint32Array;

  constructor(samples: CapturedSamples, { seconds, series }: LoadOptions) {
    assert(seconds > 0 && seconds <= 1200, 'a load lasts 1 to 1200 seconds');
    this.samples = samples;
    this.endMs = seconds * 1000;
    this.#captured = samples.series.length;
    this.seriesCount = series ?? this.#captured;
    this.copies = Math.ceil(this.seriesCount / this.#captured);
    this.#lastCopySeries = this.seriesCount - (this.copies - 1) * this.#captured;
    const { timestamps, count } = samples.columns;
    const startMs = timestamps.subarray(0, count).reduce((min, at) => Math.min(min, at));
    this.#moments = Float64Array.from(timestamps.subarray(0, count), (at) => at - startMs);
    this.rowsByTime = Uint32Array.from({ length: count }, (_, row) => row).sort(
      (one, other) => this.#moments[one]! - this.#moments[other]! || one - other,
    );
    [this.#firstRows, this.#rows] = this.#bySeries();
    [this.#firstSamples, this.expected] = this.#countSamples();
  }

  /** Number of a copy of a captured series; -1 when the load does not have it. */
  series(copy: number, captured: number): number {
    const limit = copy === this.copies - 1 ? this.#lastCopySeries : this.#captured;
    return copy < this.copies && captured < limit ? copy * this.#captured + captured : -1;
  }

  /** All requests in the order in which they are due. */
  pushes(): Push[] {
    const pushes: Push[] = [];
    for (let copy = 0; copy < this.copies; copy++) {
      for (let from = 0, to = 0; from < this.rowsByTime.length; from = to) {
        const moment = this.#moments[this.rowsByTime[from]!]!;
        do to++;
        while (to - from < PUSH_SAMPLES_MAX && this.#moments[this.rowsByTime[to]!] === moment);
        const atMs = this.#sinceStart(copy, moment);
        if (atMs < this.endMs) pushes.push({ atMs, copy, from, to });
      }
    }
    return pushes.sort((one, other) => one.atMs - other.atMs);
  }

  /** The `labels` fields of a series. */
  labels(copy: number, captured: number): Uint8Array {
    const { bytes } = this.samples.series[captured]!;
    if (copy === 0) return bytes;
    const labels = [{ name: COPY_LABEL, value: Buffer.from(String(copy)) }];
    forEachLabel(bytes, (name, value) => {
      labels.push({ name: Buffer.from(name), value: Buffer.from(value) });
    });
    labels.sort((one, other) => Buffer.compare(one.name, other.name));
    return encodeLabels(labels);
  }

  /** The sample of a series taken `atMs` after the start; undefined when there is none. */
  find(series: number, atMs: number): { index: number; row: number } | undefined {
    if (atMs < 0 || atMs >= this.endMs) return undefined;
    const captured = series % this.#captured;
    const offset = offsetOf(Math.floor(series / this.#captured));
    const moment = (atMs + offset) % CAPTURE_MS;
    const at = this.#lowerBound(captured, moment);
    const [from, to] = [this.#firstRows[captured]!, this.#firstRows[captured + 1]!];
    if (at === to || this.#moments[this.#rows[at]!] !== moment) return undefined;
    const place = (at - this.#lowerBound(captured, offset) + to - from) % (to - from);
    return { index: this.#firstSamples[series]! + place, row: this.#rows[at]! };
  }

  /** When each sample is taken, in ms since the start, by its index. */
  moments(): Float64Array {
    const moments = new Float64Array(this.expected);
    for (let series = 0; series < this.seriesCount; series++) {
      const captured = series % this.#captured;
      const copy = Math.floor(series / this.#captured);
      const [from, to] = [this.#firstRows[captured]!, this.#firstRows[captured + 1]!];
      const first = this.#lowerBound(captured, offsetOf(copy)) - from;
      const end = this.#firstSamples[series + 1] ?? this.expected;
      for (let index = this.#firstSamples[series]!; index < end; index++) {
        const place = (first + index - this.#firstSamples[series]!) % (to - from);
        moments[index] = this.#sinceStart(copy, this.#moments[this.#rows[from + place]!]!);
      }
    }
    return moments;
  }

  #sinceStart(copy: number, moment: number): number {
    return (moment - offsetOf(copy) + CAPTURE_MS) % CAPTURE_MS;
  }

  #bySeries(): [firstRows: Uint32Array, rows: Uint32Array] {
    const { ids } = this.samples.columns;
    const firstRows = new Uint32Array(this.#captured + 1);
    for (const row of this.rowsByTime) firstRows[ids[row]! + 1]!++;
    for (let id = 0; id < this.#captured; id++) firstRows[id + 1]! += firstRows[id]!;
    const next = firstRows.slice();
    const rows = new Uint32Array(this.rowsByTime.length);
    for (const row of this.rowsByTime) rows[next[ids[row]!]!++] = row;
    return [firstRows, rows];
  }

  #countSamples(): [firstSamples: Uint32Array, all: number] {
    const firstSamples = new Uint32Array(this.seriesCount);
    let all = 0;
    for (let series = 0; series < this.seriesCount; series++) {
      firstSamples[series] = all;
      const captured = series % this.#captured;
      const from = offsetOf(Math.floor(series / this.#captured));
      all += this.#countBelow(captured, from + this.endMs) - this.#countBelow(captured, from);
    }
    return [firstSamples, all];
  }

  /** Samples of a captured series before a moment, which may be in the next round. */
  #countBelow(captured: number, moment: number): number {
    const [from, to] = [this.#firstRows[captured]!, this.#firstRows[captured + 1]!];
    const rounds = Math.floor(moment / CAPTURE_MS);
    return rounds * (to - from) + this.#lowerBound(captured, moment % CAPTURE_MS) - from;
  }

  /** The first of a series' rows at `moment` or later, as a place in `#rows`. */
  #lowerBound(captured: number, moment: number): number {
    let [low, high] = [this.#firstRows[captured]!, this.#firstRows[captured + 1]!];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#moments[this.#rows[middle]!]! < moment) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Where in the capture a copy begins, in ms. */
function offsetOf(copy: number): number {
  return Math.round(CAPTURE_MS * ((copy * GOLDEN_RATIO) % 1)) % CAPTURE_MS;
}

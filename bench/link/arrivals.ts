import { assert } from '../../base/assert.ts';
import { labelTexts, latin1 } from '../captured-samples.ts';
import type { Load } from './load.ts';
import { percentile } from './percentile.ts';

/** A sample that is not there after so many seconds is overdue: two scrape intervals. */
export const OVERDUE_SECONDS = 30;
/** Samples at most so old are fresh: a scrape interval. */
export const FRESH_SECONDS = 15;

/** Seconds; null: what they lead to has not happened. */
export type Seconds = number | null;

/** What a receiver has seen. */
export interface ArrivalReport {
  expected: number;
  arrived: number;
  /** Of all samples, the share that was there a scrape interval after the last was taken. */
  shareAtEnd: number;
  /** Samples that came again with the same value. */
  doubled: number;
  /** Samples that came first when their series already had a later one. */
  outOfOrder: number;
  /** Samples with another value than was sent. */
  wrong: number;
  /** Samples that were never sent. */
  unknown: number;
  /** From a sample's time to its arrival, over all that were sent. */
  freshness: { p50: Seconds; p99: Seconds; max: Seconds };
  /** After the start. */
  firstArrival: Seconds;
  /** When the last one of all was there. */
  lastArrival: Seconds;
  returns: LinkReturn[];
}

/** What followed when the link was back; seconds since then. */
export interface LinkReturn {
  /** Seconds after the start. */
  at: number;
  /** Until the first sample of at most {@link FRESH_SECONDS} arrived. */
  fresh: Seconds;
  /** Until all samples from before the return were there. */
  old: Seconds;
  /** Until no sample was overdue. */
  caughtUp: Seconds;
  /** Samples that arrived from then on. */
  arrived: number;
}

/** Compares all that arrives with what was sent, sample by sample and bit by bit. */
export class Arrivals {
  arrived = 0;
  doubled = 0;
  outOfOrder = 0;
  wrong = 0;
  unknown = 0;
  readonly #load: Load;
  readonly #captured: Map<string, number>;
  /** By the `labels` fields as a sender writes them; -1: not of the load. */
  readonly #known = new Map<string, number>();
  /** By index of the sample: seconds after the start. */
  readonly #arrivedAt: Float32Array;
  /** By series: time of the latest sample. */
  readonly #latest: Float64Array;
  #startMs = Number.NaN;

  constructor(load: Load) {
    this.#load = load;
    this.#captured = new Map(
      load.samples.series.map(({ texts }, id) => [canonicalName(texts).name, id]),
    );
    this.#arrivedAt = new Float32Array(load.expected).fill(Number.POSITIVE_INFINITY);
    const series = load.copies * load.samples.series.length;
    this.#latest = new Float64Array(series).fill(Number.NEGATIVE_INFINITY);
  }

  /** Samples of the whole run. */
  get expected(): number {
    return this.#load.expected;
  }

  /** Says when the first sample of the capture is taken, in ms since the Unix epoch. */
  begin(startMs: number): void {
    this.#startMs = startMs;
  }

  /** Number of the series whose `labels` fields stand in bytes [from, to); -1: not of the load. */
  series(bytes: Uint8Array, from: number, to: number): number {
    const labels = bytes.subarray(from, to);
    const key = latin1(labels);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { name, copy } = canonicalName(labelTexts(labels));
    const captured = this.#captured.get(name);
    const series = captured === undefined ? -1 : this.#load.series(copy, captured);
    this.#known.set(key, series);
    return series;
  }

  /** @param timestamp and @param nowMs in ms since the Unix epoch */
  sample(series: number, timestamp: number, bits: [low: number, high: number], nowMs: number) {
    assert(!Number.isNaN(this.#startMs), 'samples before the start');
    const sent = series < 0 ? undefined : this.#load.find(series, timestamp - this.#startMs);
    if (sent === undefined) {
      this.unknown++;
      return;
    }
    const { valueBits } = this.#load.samples.columns;
    const { row, index } = sent;
    if (valueBits[row * 2] !== bits[0] || valueBits[row * 2 + 1] !== bits[1]) {
      this.wrong++;
      return;
    }
    if (this.#arrivedAt[index] !== Number.POSITIVE_INFINITY) {
      this.doubled++;
      return;
    }
    this.arrived++;
    this.#arrivedAt[index] = (nowMs - this.#startMs) / 1000;
    if (timestamp < this.#latest[series]!) this.outOfOrder++;
    else this.#latest[series] = timestamp;
  }

  /** @param returnsMs when the link came back, in ms since the Unix epoch */
  report(returnsMs: readonly number[]): ArrivalReport {
    const takenAt = this.#load.moments().map((ms) => ms / 1000);
    const arrivedAt = this.#arrivedAt;
    const ages = arrivedAt.map((at, index) => at - takenAt[index]!).sort();
    const endedAt = this.#load.endMs / 1000 + FRESH_SECONDS;
    const { arrived, doubled, outOfOrder, wrong, unknown } = this;
    const [expected, atEnd] = [arrivedAt.length, arrivedAt.filter((at) => at <= endedAt).length];
    return {
      ...{ expected, arrived, doubled, outOfOrder, wrong, unknown },
      shareAtEnd: atEnd / expected,
      freshness: {
        p50: happened(percentile(ages, 0.5)),
        p99: happened(percentile(ages, 0.99)),
        max: happened(percentile(ages, 1)),
      },
      firstArrival: happened(arrivedAt.reduce((min, at) => Math.min(min, at), Infinity)),
      lastArrival: happened(arrivedAt.reduce((max, at) => Math.max(max, at), 0)),
      returns: returnsMs.map((ms) => {
        return returnOf((ms - this.#startMs) / 1000, takenAt, arrivedAt);
      }),
    };
  }
}

function returnOf(at: number, takenAt: Float64Array, arrivedAt: Float32Array): LinkReturn {
  let [fresh, old] = [Number.POSITIVE_INFINITY, at];
  let arrivedSince = 0;
  const overdue: [from: number, to: number][] = [];
  takenAt.forEach((taken, index) => {
    const arrived = arrivedAt[index]!;
    if (arrived >= at && arrived - taken <= FRESH_SECONDS) fresh = Math.min(fresh, arrived);
    if (taken <= at) old = Math.max(old, arrived);
    if (arrived >= at && arrived < Number.POSITIVE_INFINITY) arrivedSince++;
    if (arrived > at && arrived - taken > OVERDUE_SECONDS) {
      overdue.push([taken + OVERDUE_SECONDS, arrived]);
    }
  });
  return {
    at,
    fresh: happened(fresh - at),
    old: happened(old - at),
    caughtUp: happened(endOfOverdue(at, overdue) - at),
    arrived: arrivedSince,
  };
}

function happened(seconds: number): Seconds {
  return Number.isFinite(seconds) ? seconds : null;
}

/** The first moment from `at` on that lies in none of the spans. */
function endOfOverdue(at: number, spans: [from: number, to: number][]): number {
  let free = at;
  for (const [from, to] of spans.sort(([one], [other]) => one - other)) {
    if (from > free) break;
    free = Math.max(free, to);
  }
  return free;
}

/** The labels in one order, but for the one that tells copies apart. */
function canonicalName(texts: readonly string[]): { name: string; copy: number } {
  const labels: string[] = [];
  let copy = 0;
  for (let at = 0; at < texts.length; at += 2) {
    if (texts[at] === 'copy') copy = Number(texts[at + 1]);
    else labels.push(JSON.stringify([texts[at], texts[at + 1]]));
  }
  return { name: labels.sort().join(), copy };
}

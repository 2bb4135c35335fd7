import { labelNotation } from '../tools/exact-remote-write.ts';
import type { Plan } from './plan.ts';
import { destinationTenant } from './surroundings.ts';

export interface Series {
  /** As the agent names it. */
  tenant: string;
  /** Label notation, as the destination is asked for it. */
  name: string;
  /** As in a TimeSeries. */
  labels: Uint8Array;
  /** What its samples are; `mixed`: floats and native histograms. */
  kind: 'float' | 'mixed' | 'exemplar';
  /** Of an HA pair. */
  cluster: string | undefined;
}

/** A sample that somebody has sent; no two have the same value. */
export interface SentSample {
  series: Series;
  timestamp: number;
  /** Low half of the value: the number of the sample. */
  low: number;
  high: number;
  /** Why the destination may refuse it. */
  oddity: 'exemplar' | 'timestamp' | undefined;
  /** The machine whose agent acknowledged it. */
  machine?: string;
  /** Its place among all acknowledged samples. */
  acknowledgedAs?: number;
  /** It was acknowledged, then its disk was taken away: it may or may not arrive. */
  isForgiven: boolean;
}

/** Samples that an agent says it has lost; times in ms, both included. */
export interface ReportedLoss {
  reason: string;
  tenant: string;
  samples: number;
  oldest: number;
  newest: number;
  /** When it was reported. */
  elapsedMs: number;
  /** The power failed while the files in the folder were not those in use. */
  isExcused: boolean;
}

/** Numbers that stand for nothing, quiet NaN, signalling NaN, infinity's neighbours, tiny ones. */
const HIGH_HALVES = [0x40000000, 0x7ff80000, 0x7ff00000, 0xfff00000, 0x80000000, 0];

const HOUR_MS = 3_600_000;
/**
 * Samples of hours ago, of tomorrow and of next year. None whose time comes while a simulation goes
 * on: once it is taken, all that follows in its series is behind it.
 */
const ODD_OFFSETS_MS = [-3 * HOUR_MS, 24 * HOUR_MS, -5 * HOUR_MS, 8760 * HOUR_MS];

/** What was sent, what was acknowledged, and what was reported as lost. */
export class Ledger {
  readonly samples = new Map<string, SentSample>();
  readonly losses: ReportedLoss[] = [];
  /** The first sample of each request that an agent has refused as being of the future. */
  readonly refused: SentSample[] = [];
  readonly #odd: Plan['odd'];
  #lastTimestamp = 0;
  #acknowledged = 0;

  constructor(odd: Plan['odd']) {
    this.#odd = odd;
  }

  /** A new sample of a series, later than all before it unless its time is odd. */
  next(series: Series, nowMs: number): SentSample {
    const low = this.samples.size + 1;
    const high = HIGH_HALVES[low % HIGH_HALVES.length]!;
    const oddity = this.#oddity(series, low);
    const now = Math.max(nowMs, this.#lastTimestamp + 1);
    this.#lastTimestamp = now;
    const offsets = ODD_OFFSETS_MS;
    const timestamp = oddity === 'timestamp' ? now + offsets[low % offsets.length]! : now;
    const sample = { series, timestamp, low, high, oddity, isForgiven: false };
    this.samples.set(sampleKey(destinationTenant(series.tenant), series.name, timestamp), sample);
    return sample;
  }

  #oddity({ kind }: Series, low: number): SentSample['oddity'] {
    const { exemplarEvery, timestampEvery } = this.#odd;
    if (kind === 'exemplar') return isEvery(low, exemplarEvery) ? 'exemplar' : undefined;
    return isEvery(low, timestampEvery) ? 'timestamp' : undefined;
  }

  /** How many samples have been acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  acknowledge(machine: string, samples: readonly SentSample[]): void {
    for (const sample of samples) {
      sample.machine = machine;
      sample.acknowledgedAs = ++this.#acknowledged;
    }
  }

  /** The disk of a machine is gone; what it acknowledged after the first `kept` may be lost. */
  forgive(machine: string, kept: number): void {
    for (const sample of this.samples.values()) {
      if (sample.machine === machine && sample.acknowledgedAs! > kept) sample.isForgiven = true;
    }
  }

  report(loss: ReportedLoss): void {
    this.losses.push(loss);
  }

  /** Whether an agent has reported the loss of what was stored at the time of this sample. */
  isReportedLost({ series, timestamp }: SentSample): boolean {
    return this.losses.some(
      ({ tenant, oldest, newest }) =>
        tenant === series.tenant && oldest <= timestamp && timestamp <= newest,
    );
  }
}

export function sampleKey(tenant: string, series: string, timestamp: number): string {
  return `${tenant} ${series} ${timestamp}`;
}

export function bitsOf({ low, high }: SentSample): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

export function notationOf(labels: Record<string, string>): string {
  return labelNotation(Object.entries(labels).map(([name, value]) => ({ name, value })));
}

function isEvery(low: number, count: number): boolean {
  return count > 0 && low % count === 0;
}

import { type ExactSeries, labelNotation } from './exact-remote-write.ts';

export interface StoredSample {
  timestamp: number;
  bits: bigint;
}

/** A sample that arrived although its series already had a newer or a different one. */
export interface OrderFault {
  tenant: string;
  series: string;
  timestamp: number;
  bits: bigint;
  /** The newest timestamp of the series at that moment. */
  newest: number;
}

/**
 * What the destination does with samples:
 * `accepting` stores everything and only takes notes; `cortex` refuses what is out of order,
 * stores the rest and names the first; `prometheus` stores nothing of a body with one refusal.
 */
export type Semantics = 'accepting' | 'cortex' | 'prometheus';

/** A reason to refuse this sample, worded as the destination would, or undefined. */
export type Refuse = (tenant: string, series: string, sample: StoredSample) => string | undefined;

interface Series {
  samples: StoredSample[];
  byTimestamp: Map<number, bigint>;
  newest: number;
}

type Verdict = 'new' | 'repeated' | 'out of order' | 'duplicate';

/** The memory of the checking destination: every sample, in the order of its arrival. */
export class CheckedSamples {
  readonly outOfOrder: OrderFault[] = [];
  /** Samples that arrived again exactly as they were; they are not stored twice. */
  repeated = 0;
  readonly #tenants = new Map<string, Map<string, Series>>();
  readonly #semantics: Semantics;
  readonly #refuse: Refuse;

  constructor(semantics: Semantics, refuse: Refuse) {
    this.#semantics = semantics;
    this.#refuse = refuse;
  }

  /** Takes the samples of one body; returns the first refusal, or undefined. */
  take(tenant: string, body: readonly ExactSeries[]): string | undefined {
    const accepted: (() => void)[] = [];
    let firstRefusal: string | undefined;
    for (const { labels, samples } of body) {
      const name = labelNotation(labels);
      for (const sample of samples) {
        const refusal = this.#judge(tenant, name, sample);
        firstRefusal ??= refusal;
        if (refusal !== undefined) continue;
        if (this.#semantics === 'prometheus')
          accepted.push(() => this.#store(tenant, name, sample));
        else this.#store(tenant, name, sample);
      }
    }
    if (firstRefusal === undefined) for (const store of accepted) store();
    return firstRefusal;
  }

  /** All samples of a tenant by label notation. */
  ofTenant(tenant: string): Map<string, StoredSample[]> {
    const samples = new Map<string, StoredSample[]>();
    for (const [name, series] of this.#tenants.get(tenant) ?? []) samples.set(name, series.samples);
    return samples;
  }

  #judge(tenant: string, name: string, sample: StoredSample): string | undefined {
    const refusal = this.#refuse(tenant, name, sample);
    if (refusal !== undefined || this.#semantics === 'accepting') return refusal;
    const series = this.#tenants.get(tenant)?.get(name);
    if (series === undefined || sample.timestamp > series.newest) return undefined;
    const same = series.byTimestamp.get(sample.timestamp) === sample.bits;
    if (sample.timestamp === series.newest && same) return undefined;
    const what =
      sample.timestamp < series.newest ? 'out of order sample' : 'duplicate sample for timestamp';
    return `${what}. timestamp=${sample.timestamp}, series=${name}`;
  }

  #store(tenant: string, name: string, sample: StoredSample): void {
    const series = this.#seriesOf(tenant, name);
    const verdict = verdictOf(series, sample);
    if (verdict === 'repeated') {
      this.repeated++;
      return;
    }
    if (verdict !== 'new') {
      this.outOfOrder.push({ tenant, series: name, newest: series.newest, ...sample });
    }
    series.samples.push(sample);
    series.byTimestamp.set(sample.timestamp, sample.bits);
    series.newest = Math.max(series.newest, sample.timestamp);
  }

  #seriesOf(tenant: string, name: string): Series {
    let ofTenant = this.#tenants.get(tenant);
    if (ofTenant === undefined) {
      ofTenant = new Map();
      this.#tenants.set(tenant, ofTenant);
    }
    let series = ofTenant.get(name);
    if (series === undefined) {
      series = { samples: [], byTimestamp: new Map(), newest: Number.NEGATIVE_INFINITY };
      ofTenant.set(name, series);
    }
    return series;
  }
}

function verdictOf(series: Series, sample: StoredSample): Verdict {
  if (sample.timestamp > series.newest) return 'new';
  const bits = series.byTimestamp.get(sample.timestamp);
  if (bits === sample.bits) return 'repeated';
  return bits === undefined ? 'out of order' : 'duplicate';
}

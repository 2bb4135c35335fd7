import type { StoredSample } from '../tools/checked-samples.ts';
import { type CortexSeries, decodeCortexBody } from '../tools/cortex/body.ts';
import { CortexRules } from '../tools/cortex/rules.ts';
import { type ArrivedBody, isRefused, type Memory, SERIES_LIMIT } from './memory.ts';
import { exemplarsIn } from './numbered-objects.ts';
import type { Plan } from './plan.ts';

const LOW_HALF = 0xffffffffn;
/** A TSDB without an out-of-order window takes nothing that is further behind its newest sample. */
const BOUNDS_MS = 3_600_000;
const OLD_MS = 2 * 3_600_000;
const EXEMPLARS_MAX = 1_000_000;

/** A Cortex: one bad sample or exemplar costs its TimeSeries entry, and a 400 names one fault. */
export class CortexMemory implements Memory {
  readonly rules: CortexRules;
  /** Nothing is ever stored out of order. */
  readonly outOfOrder = [];
  readonly #refusedEvery: number;

  /** @param now the clock of Cortex, which is right */
  constructor({ refusedEvery, refusesOld }: Plan['destination'], now: () => number) {
    this.#refusedEvery = refusedEvery;
    const limits = {
      enableNativeHistograms: true,
      maxExemplars: EXEMPLARS_MAX,
      acceptHaSamples: true,
      rejectOldSamples: refusesOld,
      rejectOldSamplesMaxAgeMs: OLD_MS,
    };
    this.rules = new CortexRules(limits, now);
  }

  open(tenant: string, bytes: Uint8Array): ArrivedBody {
    const body = decodeCortexBody(bytes, 1);
    const { series } = body;
    return {
      samples: series.reduce((sum, entry) => sum + countOf(entry), 0),
      entries: series.length,
      take: (entries = series.length) => {
        const taken = series.slice(0, entries).map((entry) => this.#withinLimit(entry));
        const { status, message } = this.rules.push(tenant, { ...body, series: taken });
        const isLimited = taken.some((entry, at) => countOf(entry) < countOf(series[at]!));
        return status === 200 && isLimited
          ? { status: 400, message: SERIES_LIMIT }
          : { status, message };
      },
    };
  }

  ofTenant(tenant: string): Map<string, StoredSample[]> {
    const samples = new Map<string, StoredSample[]>(this.rules.stored(tenant));
    for (const [name, exemplars] of this.rules.exemplars(tenant)) {
      samples.set(exemplarsIn(name), exemplars);
    }
    return samples;
  }

  oldestAccepted(tenant: string): number {
    return this.rules.headMaxTime(tenant) - BOUNDS_MS;
  }

  /** What the ingester leaves out of an entry, sample by sample, for a limit. */
  #withinLimit(entry: CortexSeries): CortexSeries {
    const isTaken = ({ bits }: { bits: bigint }): boolean =>
      !isRefused(Number(bits & LOW_HALF), this.#refusedEvery);
    return {
      ...entry,
      samples: entry.samples.filter(isTaken),
      histograms: entry.histograms.filter(isTaken),
      exemplars: entry.exemplars.filter(isTaken),
    };
  }
}

function countOf({ samples, histograms, exemplars }: CortexSeries): number {
  return samples.length + histograms.length + exemplars.length;
}

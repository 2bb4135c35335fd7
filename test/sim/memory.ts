import { CheckedSamples, type OrderFault, type StoredSample } from '../tools/checked-samples.ts';
import { decodeWithObjects } from '../tools/exact-remote-write.ts';
import { asSamples } from './numbered-objects.ts';
import type { Plan } from './plan.ts';

const LOW_HALF = 0xffffffffn;
export const SERIES_LIMIT = 'per-user series limit of 5 exceeded';

/** A body that has arrived. */
export interface ArrivedBody {
  /** Samples, histograms and exemplars. */
  samples: number;
  /** TimeSeries entries. */
  entries: number;
  /** Stores what may be stored of the first `entries`, all where it is absent. */
  take(entries?: number): { status: number; message: string };
}

/** What a destination keeps, under the names of the ledger. */
export interface Memory {
  open(tenant: string, body: Uint8Array): ArrivedBody;
  /** All samples of a tenant by label notation, in the order of their arrival. */
  ofTenant(tenant: string): Map<string, StoredSample[]>;
  readonly outOfOrder: readonly OrderFault[];
  /** What is older is refused for ever; undefined where there is no such bound. */
  oldestAccepted(tenant: string): number | undefined;
}

/** A destination that stores everything, or nothing of a body with one refusal. */
export class CheckedMemory implements Memory {
  readonly #samples: CheckedSamples;

  constructor({ semantics, refusedEvery }: Plan['destination']) {
    this.#samples = new CheckedSamples(semantics, (_tenant, _series, { bits }) =>
      isRefused(Number(bits & LOW_HALF), refusedEvery) ? SERIES_LIMIT : undefined,
    );
  }

  open(tenant: string, body: Uint8Array): ArrivedBody {
    const series = asSamples(decodeWithObjects(body));
    return {
      samples: series.reduce((sum, { samples }) => sum + samples.length, 0),
      entries: series.length,
      take: (entries = series.length) => {
        const refusal = this.#samples.take(tenant, series.slice(0, entries));
        return { status: refusal === undefined ? 200 : 400, message: refusal ?? '' };
      },
    };
  }

  ofTenant(tenant: string): Map<string, StoredSample[]> {
    return this.#samples.ofTenant(tenant);
  }

  get outOfOrder(): readonly OrderFault[] {
    return this.#samples.outOfOrder;
  }

  oldestAccepted(): undefined {
    return undefined;
  }
}

/** Whether the destination refuses the sample with this number for good. */
export function isRefused(low: number, refusedEvery: number): boolean {
  return refusedEvery > 0 && low % refusedEvery === 0;
}

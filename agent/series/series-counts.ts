import { labelValue } from '../../proto/label-set.ts';
import type { Refusal } from '../../proto/series-lookup.ts';

/** 0: no limit. */
export interface SeriesLimits {
  perTenantMax: number;
  perMetricMax: number;
}

/** How many series of the dictionary each tenant has, and of each metric. */
export class SeriesCounts {
  limits: SeriesLimits;
  readonly #byTenant = new Map<number, number>();
  readonly #byMetric = new Map<string, number>();

  constructor(limits: SeriesLimits) {
    this.limits = limits;
  }

  /** Why the tenant may have no such new series, if so. @param labels canonical */
  refusal(tenant: number, labels: Uint8Array): Refusal | undefined {
    const { perTenantMax, perMetricMax } = this.limits;
    if (perTenantMax > 0 && (this.#byTenant.get(tenant) ?? 0) >= perTenantMax) {
      const detail = `the tenant has ${perTenantMax} series, limits.max_series_per_tenant`;
      return { reason: 'too_many_series', detail };
    }
    if (perMetricMax > 0 && (this.#byMetric.get(metricKey(tenant, labels)) ?? 0) >= perMetricMax) {
      const detail = `the metric has ${perMetricMax} series, limits.max_series_per_metric`;
      return { reason: 'too_many_series', detail };
    }
    return undefined;
  }

  add(tenant: number, labels: Uint8Array): void {
    this.#byTenant.set(tenant, (this.#byTenant.get(tenant) ?? 0) + 1);
    const key = metricKey(tenant, labels);
    this.#byMetric.set(key, (this.#byMetric.get(key) ?? 0) + 1);
  }

  clear(): void {
    this.#byTenant.clear();
    this.#byMetric.clear();
  }
}

function metricKey(tenant: number, labels: Uint8Array): string {
  const name = labelValue(labels, '__name__') ?? new Uint8Array(0);
  return `${tenant} ${Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1')}`;
}

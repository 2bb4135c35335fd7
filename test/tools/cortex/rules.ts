import type { CortexBody, CortexExemplar, CortexSeries } from './body.ts';
import { HaTracker } from './ha-tracker.ts';
import { Head, type StoredPoint } from './head.ts';
import { CORTEX_DEFAULTS, type CortexLimits } from './limits.ts';
import { type Labels, validateMetadata, validateSeries } from './validation.ts';

/** What a push is answered; `written` are the headers of version 2.0. */
export interface CortexAnswer {
  status: number;
  message: string;
  written: { samples: number; histograms: number; exemplars: number };
}

interface Tenant {
  head: Head;
  tracker: HaTracker;
  limits: CortexLimits;
  tokens: number;
  tokensAtMs: number;
  metadata: Map<string, { help: string; unit: string }>;
}

const NOTHING = { samples: 0, histograms: 0, exemplars: 0 };
const FIRST_PORT = 10_000;
const PORTS = 50_000;

/**
 * The rules by which Cortex 1.21 answers pushes, without HTTP and with the clock of its user. Read
 * from its pkg/distributor, pkg/ingester and pkg/util/validation.
 */
export class CortexRules {
  readonly #tenants = new Map<string, Tenant>();
  readonly #defaults: CortexLimits;
  readonly #now: () => number;
  #answers = 0;

  constructor(limits: Partial<CortexLimits> = {}, now: () => number = Date.now) {
    this.#defaults = { ...CORTEX_DEFAULTS, ...limits };
    this.#now = now;
  }

  /** Changes limits of a tenant from now on. */
  setLimits(tenant: string, limits: Partial<CortexLimits>): void {
    Object.assign(this.#tenant(tenant).limits, limits);
  }

  /** Points by series as labelSetString names it, in the order in which they were stored. */
  stored(tenant: string): Map<string, StoredPoint[]> {
    return this.#tenant(tenant).head.stored();
  }

  storedCount(tenant: string): number {
    return [...this.stored(tenant).values()].reduce((sum, { length }) => sum + length, 0);
  }

  exemplars(tenant: string): Map<string, CortexExemplar[]> {
    return this.#tenant(tenant).head.exemplars();
  }

  metadata(tenant: string): ReadonlyMap<string, { help: string; unit: string }> {
    return this.#tenant(tenant).metadata;
  }

  /** Newest timestamp of the tenant's head. */
  headMaxTime(tenant: string): number {
    return this.#tenant(tenant).head.maxTime;
  }

  /** A writer beside the one under test brings a sample of a series of its own. */
  moveHead(tenant: string, timestamp: number): void {
    const labels = [{ name: '__name__', value: 'of_another_writer' }];
    const samples = [{ timestamp, bits: 0n }];
    const { head, limits } = this.#tenant(tenant);
    head.push([{ labels, samples, exemplars: [], histograms: [] }], limits);
  }

  push(name: string, body: CortexBody): CortexAnswer {
    const tenant = this.#tenant(name);
    const { limits } = tenant;
    const malformed = malformedBody(body, limits);
    if (malformed !== undefined) return refused(400, malformed);
    const elected = this.#elect(tenant, body.series);
    if (elected.answer !== undefined) return elected.answer;
    if (elected.series.some(({ labels }) => labels.length === 0)) {
      return refused(400, 'empty labels found');
    }
    const now = this.#now();
    const judged = elected.series.map((entry) => validateSeries(entry, limits, now));
    const series = elected.series.filter((_, at) => judged[at] === undefined);
    const judgedRecords = body.metadata.map((record) => validateMetadata(record, limits));
    const metadata = body.metadata.filter((_, at) => judgedRecords[at] === undefined);
    const first = [...judged, ...judgedRecords].find((refusal) => refusal !== undefined);
    const valid = countsOf(series);
    const samples = valid.samples + valid.histograms;
    const total = samples + valid.exemplars + metadata.length;
    if (total > 0 && !this.#takeTokens(tenant, total)) {
      const rate = `ingestion rate limit (${limits.ingestionRate}) exceeded`;
      const adding = `while adding ${samples} samples and ${metadata.length} metadata`;
      return refused(429, `${rate} ${adding}`);
    }
    for (const { metricFamilyName, help, unit } of metadata) {
      tenant.metadata.set(metricFamilyName, { help, unit });
    }
    const soft = tenant.head.push(series, limits);
    if (soft !== undefined) return refused(400, this.#ofIngester(name, soft));
    if (first !== undefined) return { status: 400, message: first, written: valid };
    return { status: body.version === 2 ? 204 : 200, message: '', written: valid };
  }

  #elect(
    tenant: Tenant,
    series: CortexSeries[],
  ): { series: CortexSeries[]; answer?: CortexAnswer } {
    const { limits, tracker } = tenant;
    const [first] = series;
    if (!limits.acceptHaSamples || first === undefined) return { series };
    const verdict = tracker.check(first.labels, limits, this.#now());
    if (verdict.kind === 'no ha') return { series };
    if (verdict.kind === 'elected') {
      return { series: series.map((entry) => without(entry, limits.haReplicaLabel)) };
    }
    const { status, message } = verdict;
    const written = status === 202 ? countsOf(series) : NOTHING;
    return { series, answer: { status, message, written } };
  }

  /** A refusal consumes no tokens; what is more than the burst is refused for ever. */
  #takeTokens(tenant: Tenant, count: number): boolean {
    const { ingestionRate, ingestionBurstSize } = tenant.limits;
    if (ingestionRate === 0) return count <= ingestionBurstSize;
    const now = this.#now();
    const grown = ((now - tenant.tokensAtMs) / 1000) * ingestionRate;
    const tokens = Math.min(ingestionBurstSize, tenant.tokens + grown);
    if (count > tokens) return false;
    tenant.tokens = tokens - count;
    tenant.tokensAtMs = now;
    return true;
  }

  /** The address differs from answer to answer. */
  #ofIngester(tenant: string, words: string): string {
    const port = FIRST_PORT + (this.#answers++ % PORTS);
    const family = 'maxFailure (quorum) on a given error family';
    const rpc = `rpc error: code = Code(400) desc = user=${tenant}: ${words}`;
    return `${family}, addr=127.0.0.1:${port} state=ACTIVE zone=, ${rpc}`;
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      const limits = { ...this.#defaults };
      const tokens = limits.ingestionBurstSize;
      const empty = { head: new Head(), tracker: new HaTracker(), metadata: new Map() };
      tenant = { ...empty, limits, tokens, tokensAtMs: this.#now() };
      this.#tenants.set(name, tenant);
    }
    return tenant;
  }
}

/** What refuses a whole body when it is read. */
function malformedBody(body: CortexBody, limits: CortexLimits): string | undefined {
  const { maxNativeHistogramSizeBytes: max } = limits;
  for (const { labels, samples, histograms } of body.series) {
    const large = histograms.find(({ bytes }) => max > 0 && bytes > max);
    if (large !== undefined) {
      return `native histogram size ${large.bytes} bytes exceeds limit ${max} bytes`;
    }
    if (body.version === 2 && samples.length + histograms.length === 0) {
      const named = labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(', ');
      return `TimeSeries must contain at least one sample or histogram for series {${named}}`;
    }
  }
  return undefined;
}

function refused(status: number, message: string): CortexAnswer {
  return { status, message, written: NOTHING };
}

function countsOf(series: readonly CortexSeries[]): CortexAnswer['written'] {
  const count = (kind: 'samples' | 'histograms' | 'exemplars') =>
    series.reduce((sum, entry) => sum + entry[kind].length, 0);
  return {
    samples: count('samples'),
    histograms: count('histograms'),
    exemplars: count('exemplars'),
  };
}

function without(entry: CortexSeries, label: string): CortexSeries {
  const labels: Labels = entry.labels.filter(({ name }) => name !== label);
  return { ...entry, labels: [...labels] };
}

import type { CortexExemplar, CortexSample, CortexSeries } from './body.ts';
import type { CortexLimits } from './limits.ts';
import { type Labels, metricName, seriesName } from './validation.ts';

/** Half of the two hours of a block: what is older is out of bounds without a window. */
const BOUNDS_MS = 3_600_000;

export interface StoredPoint extends CortexSample {
  kind: 'sample' | 'histogram';
}

interface Point extends StoredPoint {
  /** The same for points that are the same. */
  content: string;
}

interface Series {
  labels: Labels;
  /** In the order of their storing. */
  points: Point[];
  byTimestamp: Map<number, string>;
  newest: Point | undefined;
  exemplars: CortexExemplar[];
}

interface Appended {
  series: Series;
  point: Point;
}

/** The TSDB head of one tenant, as Cortex' ingester (Push) and Prometheus' head append to it. */
export class Head {
  /** Newest timestamp of the tenant, whoever wrote it; -Infinity: nothing yet. */
  maxTime = Number.NEGATIVE_INFINITY;
  readonly #series = new Map<string, Series>();
  #pending: Appended[] = [];
  #limits: CortexLimits | undefined;
  /** As they were when the request began. */
  #headMax = 0;
  #minValid = 0;

  /** Points by series, in the order in which they were stored. */
  stored(): Map<string, StoredPoint[]> {
    const withPoints = [...this.#series].filter(([, { points }]) => points.length > 0);
    return new Map(withPoints.map(([name, { points }]) => [name, points]));
  }

  exemplars(): Map<string, CortexExemplar[]> {
    const all = [...this.#series].filter(([, { exemplars }]) => exemplars.length > 0);
    return new Map(all.map(([name, { exemplars }]) => [name, exemplars]));
  }

  /** One request: soft errors skip a sample, and the first of them is the answer. */
  push(body: readonly CortexSeries[], limits: CortexLimits): string | undefined {
    this.#limits = limits;
    this.#begin();
    let refusal: string | undefined;
    for (const entry of body) {
      for (const point of pointsOf(entry, limits)) {
        const cause = this.#append(entry.labels, point);
        refusal ??= cause && wrapped(cause, point.timestamp, this.#headMax, entry.labels);
      }
      const cause = this.#appendExemplars(entry);
      refusal ??= cause;
    }
    this.#commit();
    return refusal;
  }

  /** The first sample of a fresh tenant counts as its newest one, and moves what follows it. */
  #begin(): void {
    this.#pending = [];
    this.#headMax = this.maxTime;
    this.#minValid = this.maxTime - BOUNDS_MS;
  }

  #append(labels: Labels, point: Point): string | undefined {
    if (this.#headMax === Number.NEGATIVE_INFINITY) {
      this.maxTime = point.timestamp;
      this.#headMax = point.timestamp;
      this.#minValid = point.timestamp - BOUNDS_MS;
    }
    const isBehind = point.timestamp < this.#minValid;
    if (this.#limits!.outOfOrderWindowMs === 0 && isBehind) return 'out of bounds';
    const name = seriesName(labels);
    let series = this.#series.get(name);
    if (series === undefined) {
      const limit = this.#limitExceeded(labels);
      if (limit !== undefined) return limit;
      series = { labels, points: [], byTimestamp: new Map(), newest: undefined, exemplars: [] };
      this.#series.set(name, series);
    }
    const refusal = this.#judge(series, point);
    if (refusal === undefined) this.#pending.push({ series, point });
    return refusal;
  }

  /** What Prometheus' memSeries.appendable says. */
  #judge({ newest }: Series, { timestamp, content }: Point): string | undefined {
    const { outOfOrderWindowMs } = this.#limits!;
    if (timestamp >= this.#minValid) {
      if (newest === undefined || timestamp > newest.timestamp) return undefined;
      if (timestamp === newest.timestamp) {
        return content === newest.content ? undefined : 'duplicate sample for timestamp';
      }
    }
    if (outOfOrderWindowMs === 0) {
      return timestamp < this.#minValid ? 'out of bounds' : 'out of order sample';
    }
    return timestamp >= this.#headMax - outOfOrderWindowMs ? undefined : 'too old sample';
  }

  #limitExceeded(labels: Labels): string | undefined {
    const { maxSeriesPerUser, maxSeriesPerMetric, maxSeriesPerLabelSet } = this.#limits!;
    const exceeded = (what: string, limit: number, rest: string) =>
      `${what} series limit of ${limit} exceeded${rest}`;
    const contact = ', please contact administrator to raise it (local limit: 0)';
    if (maxSeriesPerUser > 0 && this.#series.size >= maxSeriesPerUser) {
      return exceeded('per-user', maxSeriesPerUser, contact);
    }
    const metric = metricName(labels);
    const isOfMetric = (other: Labels) => metricName(other) === metric;
    if (maxSeriesPerMetric > 0 && this.#has(maxSeriesPerMetric, isOfMetric)) {
      return exceeded('per-metric', maxSeriesPerMetric, ` for metric ${metric}${contact}`);
    }
    for (const { labels: set, limit } of maxSeriesPerLabelSet) {
      if (!matches(labels, set) || !this.#has(limit, (other) => matches(other, set))) continue;
      return exceeded('per-labelset', limit, ` (labelSet: ${JSON.stringify(set)})`);
    }
    return undefined;
  }

  /** Whether there are so many series of a kind. */
  #has(count: number, isMeant: (labels: Labels) => boolean): boolean {
    if (this.#series.size < count) return false;
    return [...this.#series.values()].filter(({ labels }) => isMeant(labels)).length >= count;
  }

  #appendExemplars({ labels, exemplars }: CortexSeries): string | undefined {
    if (this.#limits!.maxExemplars === 0 || exemplars.length === 0) return undefined;
    const series = this.#series.get(seriesName(labels));
    const named = (cause: string, { timestamp, labels: own }: CortexExemplar) =>
      `err: ${cause}. timestamp=${rfc3339(timestamp)}, series=${seriesName(labels)}, exemplar=${seriesName(own)}`;
    if (series === undefined) {
      const cause = 'exemplars not ingested because series not already present';
      return named(cause, exemplars[0]!);
    }
    let refusal: string | undefined;
    for (const exemplar of exemplars) {
      const newest = series.exemplars.at(-1);
      if (newest !== undefined && exemplar.timestamp < newest.timestamp) {
        refusal ??= named('out of order exemplar', exemplar);
      } else if (newest?.timestamp !== exemplar.timestamp || newest.bits !== exemplar.bits) {
        series.exemplars.push(exemplar);
      }
    }
    return refusal;
  }

  /** What became out of order within the request itself is dropped without a word. */
  #commit(): void {
    const { outOfOrderWindowMs } = this.#limits!;
    for (const { series, point } of this.#pending) {
      const { timestamp, content } = point;
      const known = series.byTimestamp.has(timestamp);
      const isInOrder = series.newest === undefined || timestamp > series.newest.timestamp;
      if (known || (!isInOrder && outOfOrderWindowMs === 0)) continue;
      series.points.push(point);
      series.byTimestamp.set(timestamp, content);
      if (isInOrder) series.newest = point;
      this.maxTime = Math.max(this.maxTime, timestamp);
    }
    this.#pending = [];
  }
}

function pointsOf({ samples, histograms }: CortexSeries, limits: CortexLimits): Point[] {
  const points: Point[] = samples.map((sample) => ({
    ...sample,
    kind: 'sample',
    content: String(sample.bits),
  }));
  if (!limits.enableNativeHistograms) return points;
  for (const { timestamp, bits, content } of histograms) {
    points.push({ timestamp, bits, content, kind: 'histogram' });
  }
  return points;
}

function matches(labels: Labels, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([name, value]) =>
    labels.some((label) => label.name === name && label.value === value),
  );
}

/** Go's RFC3339Nano leaves out zeros at the end of the fraction. */
function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}

/** The words of Cortex' wrappedTSDBIngestErr and its kin. */
function wrapped(cause: string, timestamp: number, headMax: number, labels: Labels): string {
  const series = `series=${seriesName(labels)}`;
  if (cause.startsWith('per-user')) return cause;
  if (cause.includes('series limit')) return `${cause} for series ${seriesName(labels)}`;
  if (cause.startsWith('duplicate')) return `err: ${cause}. ${series}`;
  const head =
    cause === 'out of bounds' || cause === 'too old sample'
      ? ` tsdbHeadMaxTimestamp=${rfc3339(headMax)},`
      : '';
  return `err: ${cause}. timestamp=${rfc3339(timestamp)},${head} ${series}`;
}

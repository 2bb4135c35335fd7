import { assert } from '../../base/assert.ts';
import { labelSetString } from './compare.ts';
import type { HistogramsBySeries } from './histograms.ts';

const queryMsMax = 30_000;

interface AnsweredSeries {
  metric: Record<string, string>;
  histograms?: [timestamp: number, histogram: object][];
}

/**
 * The histograms of the named metrics in (fromMs, toMs] as a query answers them, buckets with
 * their bounds. Remote read of Prometheus 3.5 leaves out the bounds of custom buckets; a query
 * says them, but of populated buckets only, and has no stale markers.
 */
export async function readCustomBuckets(
  url: string,
  metrics: Iterable<string>,
  fromMs: number,
  toMs: number,
): Promise<HistogramsBySeries> {
  const found: HistogramsBySeries = new Map();
  for (const metric of metrics) {
    const query = new URLSearchParams({
      query: `{__name__=${JSON.stringify(metric)}}[${toMs - fromMs}ms]`,
      time: String(toMs / 1000),
    });
    const response = await fetch(`${url}/api/v1/query?${query}`, {
      signal: AbortSignal.timeout(queryMsMax),
    });
    const text = await response.text();
    assert(response.status === 200, `query answered ${response.status}: ${text}`);
    const { data } = JSON.parse(text) as { data: { result: AnsweredSeries[] } };
    for (const { metric: labels, histograms = [] } of data.result) {
      const points = histograms.map(([timestamp, histogram]) => ({
        timestamp: Math.round(timestamp * 1000),
        value: JSON.stringify(histogram),
        resetHint: 'unknown' as const,
      }));
      found.set(labelSetString(Object.entries(labels)), points);
    }
  }
  return found;
}

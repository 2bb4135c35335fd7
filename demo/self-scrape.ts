import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { fetchMetrics } from './metrics-page.ts';
import type { Metric } from './text-format.ts';
import { encodeWriteRequest, type Sample, type WrittenSeries } from './write-request.ts';

export interface ScrapeTarget {
  job: string;
  url: string;
}

interface SelfScrape {
  targets: ScrapeTarget[];
  agentUrl: string;
  clock: Clock;
  log: Log;
}

const INTERVAL_MS = 5000;
const WRITE_TIMEOUT_MS = 10_000;
const HEADERS = {
  'Content-Type': 'application/x-protobuf',
  'Content-Encoding': 'snappy',
  'X-Prometheus-Remote-Write-Version': '0.1.0',
};

/**
 * Plays the Prometheus that a fresh machine does not have: writes the metrics of the targets into
 * the agent every five seconds until `signal`. A scrape that fails is logged and left out.
 */
export async function scrapeSelf(options: SelfScrape, signal: AbortSignal): Promise<void> {
  const { targets, clock, log } = options;
  while (!signal.aborted) {
    const problems = await Promise.all(targets.map((target) => scrape(target, options)));
    for (const problem of problems) {
      if (problem !== undefined && !signal.aborted) log.warn({ problem }, 'a scrape has failed');
    }
    await clock.sleep(INTERVAL_MS, signal);
  }
}

/** What went wrong, if anything did. */
async function scrape(target: ScrapeTarget, { agentUrl, clock }: SelfScrape) {
  const timestamp = clock.now();
  const page = await fetchMetrics(target.url);
  if (page.kind === 'failed') return page.message;
  const series = page.metrics.map((metric) => toSeries(metric, target, timestamp));
  try {
    const response = await fetch(`${agentUrl}/api/v1/write`, {
      method: 'POST',
      headers: HEADERS,
      body: encodeWriteRequest(series),
      signal: AbortSignal.timeout(WRITE_TIMEOUT_MS),
    });
    const answer = await response.text();
    return response.ok ? undefined : `the agent answers ${response.status}: ${answer}`;
  } catch (error) {
    return `${agentUrl}: ${error}`;
  }
}

/** The target's labels win over the metric's own, which a scrape would rename. */
function toSeries(metric: Metric, { job, url }: ScrapeTarget, timestamp: number): WrittenSeries {
  const instance = new URL(url).host;
  const own = metric.labels.filter(([name]) => name !== 'job' && name !== 'instance');
  return {
    labels: [['__name__', metric.name], ['job', job], ['instance', instance], ...own],
    samples: [sampleOf(timestamp, metric.value)],
  };
}

function sampleOf(timestamp: number, value: number): Sample {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  return [timestamp, bits.getInt32(4), bits.getInt32(0)];
}

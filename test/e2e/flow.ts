import { systemClock } from '../../base/clock.ts';
import { type SamplesBySeries, sampleCount } from '../tools/compare.ts';
import type { Exporter } from '../tools/exporter.ts';
import { ownTimestampLagMs, startMetricsSource } from '../tools/metrics-source.ts';
import { startNodeExporter } from '../tools/node-exporter.ts';
import { type Prometheus, type SampleStore, startPrometheus } from '../tools/prometheus.ts';
import { type Matcher, readAllSamples } from '../tools/remote-read.ts';
import { until } from '../tools/until.ts';
import type { Workspace } from '../tools/workspace.ts';

const targetStateMsMax = 20_000;
const upSeries: Matcher = ['__name__', '=', 'up'];
export const sourceJob = 'source';
const staleMarkerBits = 0x7ff0_0000_0000_0002n;

/** A real Prometheus and its targets, more than 1,000 series scraped every second. */
export interface Source {
  prometheus: Prometheus;
  metricsSource: Exporter;
  /** Before the first sample, milliseconds since the Unix epoch. */
  startedAtMs: number;
}

/** A span of time, both ends included, to which the source will add no more samples. */
export interface ClosedWindow {
  fromMs: number;
  toMs: number;
}

/** Starts node exporter, an exporter of odd values and a Prometheus that scrapes both and itself. */
export async function startSource(
  workspace: Workspace,
  seed: string,
  remoteWriteUrls: string[],
): Promise<Source> {
  const metricsSource = await startMetricsSource(workspace, seed);
  const nodeExporter = await startNodeExporter(workspace);
  const startedAtMs = systemClock.now();
  const prometheus = await startPrometheus(workspace, {
    name: 'source',
    scrapesItself: true,
    scrapeTargets: [
      { job: sourceJob, port: metricsSource.port },
      { job: 'node', port: nodeExporter.port },
    ],
    externalLabels: { cloud: 'test' },
    remoteWriteUrls,
  });
  return { prometheus, metricsSource, startedAtMs };
}

/** Waits until the exporter of odd values has been scraped `scrapes` times. */
export function waitForScrapes(source: Source, scrapes: number): Promise<void> {
  const deadlineMs = targetStateMsMax + scrapes * 2000;
  return until(`${scrapes} scrapes`, deadlineMs, () => source.metricsSource.scrapes >= scrapes);
}

/**
 * Stops the exporter of odd values and waits until Prometheus has noticed: the stale markers of
 * its series are committed together with `up` = 0.
 */
export async function stopTarget(source: Source): Promise<void> {
  await source.metricsSource.stop();
  await until('the stopped target to be down', targetStateMsMax, async () => {
    const up = await readUp(source, [['job', '=', sourceJob]]);
    return up.size === 1 && [...up.values()].every((samples) => samples.at(-1)?.bits === 0n);
  });
}

/**
 * Waits until every target has been tried `scrapes` times, a stopped one included: Prometheus
 * writes its `up` all the same.
 */
export function waitForTries(source: Source, scrapes: number): Promise<void> {
  const deadlineMs = targetStateMsMax + scrapes * 2000;
  return until(`${scrapes} tries of each target`, deadlineMs, async () => {
    const up = [...(await readUp(source, [])).values()];
    return up.length > 0 && up.every((samples) => samples.length >= scrapes);
  });
}

/**
 * Waits until every sample up to now is in the source's store. Prometheus commits a scrape as a
 * whole and `up` with it, so a target with a later `up` has nothing earlier left to say.
 */
export async function closeWindow(source: Source): Promise<ClosedWindow> {
  const toMs = systemClock.now();
  await until('every target to be scraped once more', targetStateMsMax, async () => {
    const up = [...(await readUp(source, [])).values()];
    return up.every((samples) => (samples.at(-1)?.timestamp ?? 0) > toMs + ownTimestampLagMs);
  });
  return { fromMs: source.startedAtMs, toMs };
}

/**
 * Reads the destination again and again until it holds as many samples as are expected. At the
 * deadline returns what is there, so that a comparison can name what is missing.
 */
export async function readWhenCaughtUp(
  destination: SampleStore,
  window: ClosedWindow,
  expected: SamplesBySeries,
  deadlineMs: number,
): Promise<SamplesBySeries> {
  const endsAt = systemClock.now() + deadlineMs;
  for (;;) {
    const samples = await destination.readSamples(window.fromMs, window.toMs);
    const caughtUp = sampleCount(samples) >= sampleCount(expected);
    if (caughtUp || systemClock.now() >= endsAt) return samples;
    await systemClock.sleep(500);
  }
}

/** How many series end with a stale marker. */
export function endedSeries(samples: SamplesBySeries): number {
  return [...samples.values()].filter((rows) => rows.at(-1)?.bits === staleMarkerBits).length;
}

function readUp(source: Source, matchers: Matcher[]): Promise<SamplesBySeries> {
  const { prometheus, startedAtMs } = source;
  const beyondNowMs = systemClock.now() + 60_000;
  return readAllSamples(prometheus.url, [upSeries, ...matchers], startedAtMs, beyondNowMs);
}

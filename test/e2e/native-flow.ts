import { systemClock } from '../../base/clock.ts';
import { startNativeSource } from '../tools/native-source.ts';
import { type Prometheus, startPrometheus } from '../tools/prometheus.ts';
import type { PrometheusOptions } from '../tools/prometheus-config.ts';
import { type Stored, storedCount } from '../tools/stored-series.ts';
import type { Workspace } from '../tools/workspace.ts';
import {
  type ClosedWindow,
  closeWindow,
  type Source,
  sourceJob,
  stopTarget,
  waitForScrapes,
} from './flow.ts';

/** Enough for resets of counters and for series that end; the whole takes about eight seconds. */
const scrapes = 16;
const scrapeIntervalMs = 500;

/** The two kinds of Prometheus that send native histograms. */
export type Sender = 'server of version 3' | 'agent of version 2';

const senders: Record<Sender, Pick<PrometheusOptions, 'suite' | 'agent' | 'remoteWriteVersion'>> = {
  'server of version 3': { suite: 'forky', remoteWriteVersion: 2 },
  'agent of version 2': { suite: 'trixie', remoteWriteVersion: 1, agent: true },
};

/** A Prometheus 3 that takes both versions of remote write and stores everything. */
export function startNativeDestination(workspace: Workspace, name: string): Promise<Prometheus> {
  return startPrometheus(workspace, { name, suite: 'forky', native: true, receiver: true });
}

/**
 * Has a Prometheus scrape a source of native histograms, classic ones and exemplars, and itself,
 * and write it all to `directly` and to `urls`; stops the source. The window it returns is closed
 * at `directly`; at the sender too, where that stores anything.
 */
export async function runSender(
  workspace: Workspace,
  options: { sender: Sender; seed: string; directly: Prometheus; urls: string[] },
): Promise<{ window: ClosedWindow; sender: Prometheus }> {
  const { sender: kind, seed, directly, urls } = options;
  const metricsSource = await startNativeSource(workspace, seed);
  const startedAtMs = systemClock.now();
  const sender = await startPrometheus(workspace, {
    name: 'sender',
    native: true,
    scrapesItself: true,
    scrapeTargets: [{ job: sourceJob, port: metricsSource.port }],
    scrapeIntervalMs,
    remoteWriteUrls: [`${directly.url}/api/v1/write`, ...urls],
    ...senders[kind],
  });
  console.log(`Prometheus ${sender.version} writes to ${directly.version}`);
  // An agent answers no queries: what it has scraped shows where it writes to.
  const prometheus = senders[kind].agent === true ? directly : sender;
  const source: Source = { prometheus, metricsSource, startedAtMs };
  await waitForScrapes(source, scrapes);
  await stopTarget(source);
  return { window: await closeWindow(source), sender };
}

/**
 * Reads a destination again and again until it holds as much as is expected. At the deadline
 * returns what is there, so that a comparison can name what is missing.
 */
export async function readStoredWhenCaughtUp(
  destination: Prometheus,
  window: ClosedWindow,
  expected: Omit<Stored, 'customBuckets'>,
  deadlineMs: number,
): Promise<Stored> {
  const endsAt = systemClock.now() + deadlineMs;
  for (;;) {
    const stored = await destination.readStored(window.fromMs, window.toMs);
    const caughtUp = storedCount(stored) >= storedCount(expected);
    if (caughtUp || systemClock.now() >= endsAt) return stored;
    await systemClock.sleep(500);
  }
}

/** What kinds of histograms there are, for tests that must not pass on an empty hand. */
export function histogramKinds({ histograms, customBuckets }: Stored): Set<string> {
  const kinds = new Set<string>();
  for (const points of histograms.values()) {
    for (const { value, resetHint } of points) {
      if (value === 'stale') kinds.add('stale');
      else {
        kinds.add(/^schema \S+/.exec(value)![0].replace(',', ''));
        kinds.add(value.includes('count 0x') ? 'float' : 'integer');
        if (resetHint === 'gauge') kinds.add('gauge');
      }
    }
  }
  if (customBuckets.size > 0) kinds.add('custom buckets');
  return kinds;
}

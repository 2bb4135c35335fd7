import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { startMetricsSource } from '../tools/metrics-source.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import { until } from '../tools/until.ts';
import { startVmagent } from '../tools/vmagent.ts';
import { Workspace } from '../tools/workspace.ts';
import { chainTenant, startChain } from './chain.ts';

const MS_MAX = 30_000;
const SAMPLES_MIN = 5000;

const workspace = new Workspace('vmagent');
let direct: CheckingDestination;
let behind: CheckingDestination;

/** Everything as text, series by series; vmagent does not sort the labels. */
function stored(destination: CheckingDestination, tenant: string): Map<string, string[]> {
  const series = destination.samples(tenant);
  return new Map(
    Array.from(series, ([name, samples]) => [
      (name.match(/[^{, ]+="(?:[^"\\]|\\.)*"/g) ?? []).sort().join(),
      samples.map(({ timestamp, bits }) => `${timestamp} ${bits.toString(16)}`),
    ]),
  );
}

const countOf = (series: Map<string, unknown[]>) =>
  series.values().reduce((sum, samples) => sum + samples.length, 0);

beforeAll(async () => {
  direct = await startCheckingDestination();
  behind = await startCheckingDestination();
  workspace.onClose(() => direct.close());
  workspace.onClose(() => behind.close());
  const { writeUrl } = await startChain(workspace, {
    destination: { kind: 'generic', url: behind.url },
  });
  const source = await startMetricsSource(workspace, seedOfRun());
  const vmagent = await startVmagent(workspace, {
    targetPort: source.port,
    scrapeIntervalMs: 1000,
    urls: [
      { url: direct.url, zstd: false },
      { url: writeUrl, zstd: true },
    ],
  });
  await until('samples', MS_MAX, () => countOf(direct.samples('')) >= SAMPLES_MIN);
  // It writes what it still has.
  await vmagent.stop();
  const all = countOf(direct.samples(''));
  await until('as many samples through agent and hub', MS_MAX, () => {
    return countOf(behind.samples(chainTenant)) >= all;
  });
}, 120_000);
afterAll(() => workspace.close());

test('what a vmagent sends as zstd arrives as what it sends directly, bit for bit and in order', () => {
  const expected = stored(direct, '');
  expect(expected.size).toBeGreaterThan(300);
  expect(stored(behind, chainTenant)).toEqual(expected);
  expect(behind.violations).toEqual([]);
});

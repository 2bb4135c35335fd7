import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareSamples, type SamplesBySeries, sampleCount } from '../tools/compare.ts';
import { startPrometheus } from '../tools/prometheus.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { startChain } from './chain.ts';
import {
  closeWindow,
  endedSeries,
  readWhenCaughtUp,
  startSource,
  stopTarget,
  waitForScrapes,
  waitForTries,
} from './flow.ts';

const catchUpMsMax = 30_000;
const scrapesBeforeStop = 16;
const triesInAll = 26;

describe('a Prometheus that writes through agent and hub into another Prometheus', () => {
  const workspace = new Workspace('prometheus');
  let expected: SamplesBySeries;
  let found: SamplesBySeries;

  beforeAll(async () => {
    const destination = await startPrometheus(workspace, { name: 'destination', receiver: true });
    const { writeUrl } = await startChain(workspace, {
      destination: { kind: 'prometheus', url: `${destination.url}/api/v1/write` },
    });
    const source = await startSource(workspace, seedOfRun(), [writeUrl]);
    await waitForScrapes(source, scrapesBeforeStop);
    await stopTarget(source);
    await waitForTries(source, triesInAll);
    const window = await closeWindow(source);
    expected = await source.prometheus.readSamples(window.fromMs, window.toMs);
    found = await readWhenCaughtUp(destination, window, expected, catchUpMsMax);
  }, 120_000);
  afterAll(() => workspace.close());

  test('has 1,000 series and 30,000 samples, and stale markers for the stopped target', () => {
    expect(expected.size).toBeGreaterThanOrEqual(1000);
    expect(sampleCount(expected)).toBeGreaterThanOrEqual(30_000);
    expect(endedSeries(expected)).toBeGreaterThanOrEqual(500);
  });

  test('finds every sample of every series there, bit for bit and in order', () => {
    expect(compareSamples(expected, found)).toEqual([]);
  });

  test('would find one sample missing, one value changed by a bit, one series too many', () => {
    const [removed, changed] = [...found.keys()].filter((series) => found.get(series)!.length > 5);
    const damaged = new Map(found);
    damaged.set(removed!, found.get(removed!)!.toSpliced(3, 1));
    const { timestamp, bits } = found.get(changed!)![4]!;
    damaged.set(changed!, found.get(changed!)!.with(4, { timestamp, bits: bits ^ 1n }));
    damaged.set('{__name__="foreign"}', [{ timestamp, bits }]);
    expect(compareSamples(expected, damaged)).toEqual([
      expect.stringContaining('sample 3'),
      expect.stringContaining('sample 4'),
      expect.stringContaining('only at the destination'),
    ]);
  });
});

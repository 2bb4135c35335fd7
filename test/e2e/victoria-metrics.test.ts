import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareSamples, type SamplesBySeries, sampleCount } from '../tools/compare.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import {
  likeYardstick,
  startVictoriaMetrics,
  storedByVictoriaMetrics,
} from '../tools/victoria-metrics.ts';
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

/** VictoriaMetrics rounds values (see likeYardstick): one is the yardstick of the other. */
describe('a Prometheus that writes into VictoriaMetrics, directly and through agent and hub', () => {
  const workspace = new Workspace('victoria');
  let expected: SamplesBySeries;
  let direct: SamplesBySeries;
  let found: SamplesBySeries;

  beforeAll(async () => {
    const yardstick = await startVictoriaMetrics(workspace, { name: 'yardstick' });
    const destination = await startVictoriaMetrics(workspace, { name: 'destination' });
    const { writeUrl } = await startChain(workspace, {
      destination: { kind: 'victoriametrics', url: destination.writeUrl },
    });
    const source = await startSource(workspace, seedOfRun(), [yardstick.writeUrl, writeUrl]);
    await waitForScrapes(source, scrapesBeforeStop);
    await stopTarget(source);
    await waitForTries(source, triesInAll);
    const window = await closeWindow(source);
    const written = await source.prometheus.readSamples(window.fromMs, window.toMs);
    expected = storedByVictoriaMetrics(written);
    direct = await readWhenCaughtUp(yardstick, window, expected, catchUpMsMax);
    const there = await readWhenCaughtUp(destination, window, direct, catchUpMsMax);
    found = likeYardstick(direct, there);
  }, 120_000);
  afterAll(() => workspace.close());

  test('has 1,000 series and 30,000 samples there, and stale markers for the stopped target', () => {
    expect(found.size).toBeGreaterThanOrEqual(1000);
    expect(sampleCount(found)).toBeGreaterThanOrEqual(30_000);
    expect(endedSeries(found)).toBeGreaterThanOrEqual(500);
  });

  test('finds as many samples of each series there as the source holds', () => {
    const counts = (samples: SamplesBySeries) =>
      Object.fromEntries(Array.from(samples, ([series, rows]) => [series, rows.length]));
    expect(counts(found)).toEqual(counts(expected));
  });

  test('finds the same there as what was written directly', () => {
    expect(compareSamples(direct, found)).toEqual([]);
  });

  test('would find one sample missing', () => {
    const [series, samples] = [...found].find(([, rows]) => rows.length > 5)!;
    const damaged = new Map(found).set(series, samples.toSpliced(3, 1));
    expect(compareSamples(direct, damaged)).toEqual([expect.stringContaining('sample 3')]);
  });
});

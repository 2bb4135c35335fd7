import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareSamples, type SamplesBySeries, sampleCount } from '../tools/compare.ts';
import { type Prometheus, startPrometheus } from '../tools/prometheus.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import {
  likeYardstick,
  startVictoriaMetrics,
  storedByVictoriaMetrics,
  type VictoriaMetrics,
} from '../tools/victoria-metrics.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  type ClosedWindow,
  closeWindow,
  endedSeries,
  readWhenCaughtUp,
  startSource,
  stopTarget,
  waitForScrapes,
} from './flow.ts';

const catchUpMsMax = 30_000;

/** The yardstick itself, without Starferry in between: what it finds equal is equal. */
describe('a Prometheus that writes directly', () => {
  const workspace = new Workspace('direct');
  let destination: Prometheus;
  let victorias: [VictoriaMetrics, VictoriaMetrics];
  let window: ClosedWindow;
  let expected: SamplesBySeries;

  beforeAll(async () => {
    destination = await startPrometheus(workspace, { name: 'destination', receiver: true });
    victorias = [
      await startVictoriaMetrics(workspace, { name: 'victoria-one' }),
      await startVictoriaMetrics(workspace, { name: 'victoria-two' }),
    ];
    const source = await startSource(workspace, seedOfRun(), [
      `${destination.url}/api/v1/write`,
      ...victorias.map(({ writeUrl }) => writeUrl),
    ]);
    await waitForScrapes(source, 10);
    await stopTarget(source);
    window = await closeWindow(source);
    expected = await source.prometheus.readSamples(window.fromMs, window.toMs);
  }, 120_000);
  afterAll(() => workspace.close());

  test('has 1,000 series and 10,000 samples, and stale markers for the stopped target', () => {
    expect(expected.size).toBeGreaterThanOrEqual(1000);
    expect(sampleCount(expected)).toBeGreaterThanOrEqual(10_000);
    expect(endedSeries(expected)).toBeGreaterThanOrEqual(500);
  });

  test('is found equal to the Prometheus it writes to, bit for bit', async () => {
    const found = await readWhenCaughtUp(destination, window, expected, catchUpMsMax);
    expect(compareSamples(expected, found)).toEqual([]);
  });

  test('differs from its destination once a sample is removed', async () => {
    const found = await readWhenCaughtUp(destination, window, expected, catchUpMsMax);
    const [series, samples] = [...found].find(([, rows]) => rows.length > 5)!;
    found.set(series, samples.toSpliced(3, 1));
    expect(compareSamples(expected, found)).toEqual([expect.stringContaining('sample 3')]);
  });

  test('writes the same into two VictoriaMetrics, stale markers included', async () => {
    const [one, two] = victorias;
    const storable = storedByVictoriaMetrics(expected);
    const first = await readWhenCaughtUp(one, window, storable, catchUpMsMax);
    const second = await readWhenCaughtUp(two, window, first, catchUpMsMax);
    expect(compareSamples(first, likeYardstick(first, second))).toEqual([]);
    expect(sampleCount(first)).toBe(sampleCount(storable));
    expect(endedSeries(first)).toBe(endedSeries(expected));
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareExemplars } from '../tools/exemplars.ts';
import { compareHistograms } from '../tools/histograms.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import { compareStored, type Stored, storedCount } from '../tools/stored-series.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { startWriteCapture, type WriteCapture } from '../tools/write-capture.ts';
import { storedFrom, type WrittenTimeSeries } from '../tools/written-series.ts';
import {
  histogramKinds,
  readStoredWhenCaughtUp,
  runSender,
  startNativeDestination,
} from './native-flow.ts';

const catchUpMsMax = 20_000;
const exponentialSchemas = ['-4', '-1', '0', '2', '3', '5', '8'].map((n) => `schema ${n}`);

/**
 * The yardstick for native histograms and exemplars, without Starferry in between. Equal on both
 * sides: floats with their stale markers, histograms with theirs, exemplars in their order. Not
 * compared are the hints about counter resets: a sender writes all but `gauge` as unknown, and
 * both stores find the resets themselves. Exemplars arrive because a receiver of version 3.5 takes
 * a TimeSeries without samples, against the words of the specification; later ones answer it 400.
 */
describe('a Prometheus 3 that writes directly, remote write 2.0', () => {
  const workspace = new Workspace('native-direct');
  let capture: WriteCapture;
  let expected: Stored;
  let found: Stored;
  let written: Omit<Stored, 'customBuckets'>;

  beforeAll(async () => {
    const directly = await startNativeDestination(workspace, 'destination');
    capture = await startWriteCapture(workspace);
    const { window, sender } = await runSender(workspace, {
      sender: 'server of version 3',
      seed: seedOfRun(),
      directly,
      urls: [capture.url],
    });
    expected = await sender.readStored(window.fromMs, window.toMs);
    found = await readStoredWhenCaughtUp(directly, window, expected, catchUpMsMax);
    written = await capturedWhenCaughtUp(capture, window, expected);
  }, 120_000);
  afterAll(() => workspace.close());

  test('has histograms of every kind, and exemplars', () => {
    const kinds = ['integer', 'float', 'gauge', 'stale', 'custom buckets'];
    expect([...histogramKinds(expected)]).toEqual(
      expect.arrayContaining([...kinds, ...exponentialSchemas]),
    );
    expect(expected.samples.size).toBeGreaterThanOrEqual(500);
    expect(expected.exemplars.size).toBeGreaterThanOrEqual(5);
  });

  test('is found equal to the Prometheus it writes to', () => {
    expect(compareStored(expected, found)).toEqual([]);
  });

  test('writes bodies that say the same', () => {
    // Remote read gives no custom bounds and no query gives them as bits.
    const withoutBounds = withoutCustomBounds(written);
    expect(compareStored(expected, { ...withoutBounds, ...bucketsOf(expected) })).toEqual([]);
  });

  test('writes one sample, one histogram or one exemplar in each TimeSeries', () => {
    const { headers } = capture.requests[0]!;
    expect(headers['content-type']).toBe(
      'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    );
    expect(headers['x-prometheus-remote-write-version']).toBe('2.0.0');
    expect(shapes(capture)).toEqual(new Set(['sample', 'histogram', 'exemplar']));
  });

  test('writes type, help and unit with every TimeSeries of the source', () => {
    const ofSource = allTimeSeries(capture).filter(({ series }) => series.includes('"native_'));
    const metadata = new Set(ofSource.map((written) => JSON.stringify(written.metadata)));
    expect(metadata).toContain('{"type":3,"help":"Durations.","unit":"seconds"}');
    expect(metadata).toContain('{"type":4,"help":"Ages.","unit":""}');
    expect(metadata).not.toContain(undefined);
  });

  test('would find a histogram missing, a bucket changed, an exemplar too many', () => {
    const series = '"native_seconds", handler="/3"';
    const [name, points] = [...found.histograms].find(([labels]) => labels.includes(series))!;
    const changed = { ...points[5]!, value: points[5]!.value.replace(/:(\d)/, ':1$1') };
    const compare = (damaged: typeof points) =>
      compareHistograms(expected.histograms, new Map(found.histograms).set(name, damaged));
    expect(compare(points.toSpliced(5, 1))).toEqual([expect.stringContaining('histogram 5')]);
    expect(compare(points.with(5, changed))).toEqual([expect.stringContaining('histogram 5')]);
    const [exemplarSeries, exemplars] = [...found.exemplars][0]!;
    const twice = new Map(found.exemplars).set(exemplarSeries, exemplars.concat(exemplars[0]!));
    expect(compareExemplars(expected.exemplars, twice)).toEqual([
      expect.stringContaining('absent at the source'),
    ]);
  });
});

/**
 * An agent stores nothing that could be read: the yardstick is what it wrote. It ends a series of
 * histograms with a stale marker that is a float sample, which the store turns into a histogram.
 */
describe('a Prometheus 2 in agent mode that writes directly, remote write 1.0', () => {
  const workspace = new Workspace('native-agent');
  let capture: WriteCapture;
  let found: Stored;
  let written: Omit<Stored, 'customBuckets'>;

  beforeAll(async () => {
    const directly = await startNativeDestination(workspace, 'destination');
    capture = await startWriteCapture(workspace);
    const { window } = await runSender(workspace, {
      sender: 'agent of version 2',
      seed: seedOfRun(),
      directly,
      urls: [capture.url],
    });
    found = await directly.readStored(window.fromMs, window.toMs);
    written = await capturedWhenCaughtUp(capture, window, found);
  }, 120_000);
  afterAll(() => workspace.close());

  test('has histograms of every kind but those with custom buckets, and exemplars', () => {
    const kinds = ['integer', 'float', 'gauge', 'stale'];
    expect([...histogramKinds(found)].sort()).toEqual(
      [...kinds, ...exponentialSchemas, 'schema 1'].sort(),
    );
    expect(found.samples.size).toBeGreaterThanOrEqual(400);
    expect(found.exemplars.size).toBeGreaterThanOrEqual(5);
  });

  test('has all it wrote found in the Prometheus it writes to', () => {
    expect(compareStored({ ...written, ...bucketsOf(found) }, found)).toEqual([]);
  });

  test('writes one sample, one histogram or one exemplar in each TimeSeries', () => {
    const { headers } = capture.requests[0]!;
    expect(headers['content-type']).toBe('application/x-protobuf');
    expect(headers['x-prometheus-remote-write-version']).toBe('0.1.0');
    expect(shapes(capture)).toEqual(new Set(['sample', 'histogram', 'exemplar']));
  });
});

/** What was written, once it is as much as is stored. */
async function capturedWhenCaughtUp(
  { requests }: WriteCapture,
  window: { fromMs: number; toMs: number },
  stored: Stored,
): Promise<Omit<Stored, 'customBuckets'>> {
  const captured = () =>
    storedFrom(
      requests.map(({ body }) => body),
      window.fromMs,
      window.toMs,
    );
  const isThere = () => storedCount(captured()) >= storedCount(stored);
  await until('the bodies to say as much', catchUpMsMax, isThere);
  return captured();
}

function withoutCustomBounds<Kept extends Pick<Stored, 'histograms'>>(stored: Kept): Kept {
  const histograms = new Map(
    [...stored.histograms].map(([series, points]) => [
      series,
      points.map((point) => ({ ...point, value: point.value.replace(/custom .*/, 'custom ') })),
    ]),
  );
  return { ...stored, histograms };
}

function bucketsOf({ customBuckets }: Stored): Pick<Stored, 'customBuckets'> {
  return { customBuckets };
}

function allTimeSeries({ requests }: WriteCapture): WrittenTimeSeries[] {
  return requests.flatMap(({ body }) => body.timeSeries);
}

/** What a TimeSeries consists of, `sample` or `sample, exemplar`. */
function shapes(capture: WriteCapture): Set<string> {
  const shape = ({ samples, histograms, exemplars }: WrittenTimeSeries) =>
    [
      ...samples.map(() => 'sample'),
      ...histograms.map(() => 'histogram'),
      ...exemplars.map(() => 'exemplar'),
    ].join(', ');
  return new Set(allTimeSeries(capture).map(shape));
}

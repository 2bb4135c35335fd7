import { expect, test } from 'vitest';
import { Load } from '../../../bench/link/load.ts';
import { formatLabelSet } from '../../../proto/label-set.ts';
import { captured } from './captured.ts';

const ROUND_MS = 1_215_000;
const every15s = Array.from({ length: 80 }, (_, at) => at * 15_000);
const samples = captured([every15s, every15s.map((at) => at + 5000)]);

/** All that a feeder sends: [copy, captured series, ms since the start]. */
function sent(load: Load): [copy: number, captured: number, atMs: number][] {
  const { ids } = load.samples.columns;
  return load.pushes().flatMap(({ atMs, copy, from, to }) =>
    Array.from(load.rowsByTime.subarray(from, to), (row) => ids[row]!)
      .filter((id) => load.series(copy, id) >= 0)
      .map((id): [number, number, number] => [copy, id, atMs]),
  );
}

test('alone, the capture is sent as it was, for so long as is wanted', () => {
  const load = new Load(samples, { seconds: 60 });
  expect(sent(load)).toEqual(
    [0, 15_000, 30_000, 45_000].flatMap((at) => [
      [0, 0, at],
      [0, 1, at + 5000],
    ]),
  );
  expect(load.expected).toBe(8);
});

test('what is sent is what is expected, of any number of copies, the last one in part', () => {
  for (const series of [1, 2, 3, 7, 40]) {
    const load = new Load(samples, { seconds: 900, series });
    const all = sent(load);
    const found = all.map(([copy, id, atMs]) => load.find(load.series(copy, id), atMs));
    const indices = found.map((one) => one?.index).sort((one, other) => one! - other!);
    expect(indices).toEqual(Array.from({ length: load.expected }, (_, index) => index));
    const moments = load.moments();
    expect(found.map((one) => moments[one!.index])).toEqual(all.map(([, , atMs]) => atMs));
    expect(new Set(all.map(([copy, id]) => `${copy}/${id}`)).size).toBe(series);
  }
});

test('copies begin at other moments of the capture, and go on with its beginning', () => {
  const load = new Load(samples, { seconds: 1200, series: 4 });
  const { timestamps } = samples.columns;
  const rows = sent(load)
    .filter(([copy, id]) => copy === 1 && id === 0)
    .map(([, , atMs]) => load.find(load.series(1, 0), atMs)!.row);
  const captured = rows.map((row) => timestamps[row]! - timestamps[0]!);
  const begins = captured[0]!;
  expect(begins).toBeGreaterThan(ROUND_MS / 2);
  const later = every15s.filter((at) => at >= begins);
  expect(captured.slice(0, later.length + 2)).toEqual([...later, 0, 15_000]);
});

test('what is not sent is not found', () => {
  const load = new Load(samples, { seconds: 60, series: 3 });
  expect(load.find(load.series(0, 0), 15_000)).toBeDefined();
  expect(load.find(load.series(0, 0), 15_001)).toBeUndefined();
  expect(load.find(load.series(0, 0), 60_000)).toBeUndefined();
  expect(load.find(load.series(0, 0), -15_000)).toBeUndefined();
  expect(load.series(1, 1)).toBe(-1);
  expect(load.series(2, 0)).toBe(-1);
});

test('a copy has one label more, in its place', () => {
  const load = new Load(samples, { seconds: 60, series: 4 });
  expect(formatLabelSet(load.labels(0, 1))).toBe('{__name__="m", n="1"}');
  expect(formatLabelSet(load.labels(1, 1))).toBe('{__name__="m", copy="1", n="1"}');
});

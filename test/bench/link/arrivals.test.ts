import { expect, test } from 'vitest';
import { Arrivals } from '../../../bench/link/arrivals.ts';
import { Load } from '../../../bench/link/load.ts';
import { encodeLabels, labelSet } from '../../../proto/label-set.ts';
import { captureBits, captured } from './captured.ts';

const START_MS = 1_800_000_000_000;
const moments = Array.from({ length: 10 }, (_, at) => at * 10_000);

/** Two series with ten samples each, every ten seconds. */
function receiving(): { arrivals: Arrivals; arrive: (what: Partial<Arrival>) => void } {
  const arrivals = new Arrivals(new Load(captured([moments, moments]), { seconds: 100 }));
  arrivals.begin(START_MS);
  const arrive = ({ n = 0, at = 0, after = 1, bits = captureBits(n, at * 1000) }) => {
    const labels = labelSet({ __name__: 'm', n: String(n) });
    const series = arrivals.series(labels, 0, labels.length);
    arrivals.sample(series, START_MS + at * 1000, bits, START_MS + (at + after) * 1000);
  };
  return { arrivals, arrive };
}

interface Arrival {
  n: number;
  /** Seconds after the start. */
  at: number;
  /** Seconds on the way. */
  after: number;
  bits: [low: number, high: number];
}

test('a run in which all is well', () => {
  const { arrivals, arrive } = receiving();
  for (const moment of moments) {
    arrive({ at: moment / 1000, after: 2 });
    arrive({ n: 1, at: moment / 1000, after: 4 });
  }
  expect(arrivals.report([])).toMatchObject({
    ...{ expected: 20, arrived: 20, shareAtEnd: 1, doubled: 0, outOfOrder: 0 },
    ...{ wrong: 0, unknown: 0, freshness: { p50: 2, p99: 4, max: 4 } },
    ...{ firstArrival: 2, lastArrival: 94, returns: [] },
  });
});

test('the same sample again is doubled, however late, and not out of order', () => {
  const { arrivals, arrive } = receiving();
  arrive({ at: 0 });
  arrive({ at: 10 });
  arrive({ at: 0, after: 15 });
  arrive({ at: 10, after: 7 });
  expect(arrivals).toMatchObject({ arrived: 2, doubled: 2, outOfOrder: 0 });
});

test('a sample behind a later one of its series, and of no other, is out of order', () => {
  const { arrivals, arrive } = receiving();
  arrive({ at: 20 });
  arrive({ n: 1, at: 0 });
  expect(arrivals.outOfOrder).toBe(0);
  arrive({ at: 10 });
  arrive({ at: 0 });
  arrive({ at: 30 });
  expect(arrivals).toMatchObject({ arrived: 5, outOfOrder: 2 });
});

test.each([
  ['low', 1, 0],
  ['high', 0, 1],
])('one bit in the %s half of a value makes the sample wrong, not arrived', (_, low, high) => {
  const { arrivals, arrive } = receiving();
  const [rightLow, rightHigh] = captureBits(0, 0);
  arrive({ at: 0, bits: [rightLow ^ low, rightHigh ^ high] });
  expect(arrivals).toMatchObject({ arrived: 0, wrong: 1 });
  arrive({ at: 0 });
  expect(arrivals).toMatchObject({ arrived: 1, wrong: 1, doubled: 0 });
});

test('a timestamp or a series that was never sent is unknown', () => {
  const { arrivals, arrive } = receiving();
  arrive({ at: 5 });
  arrive({ at: 100 });
  arrive({ n: 2, at: 0 });
  expect(arrivals).toMatchObject({ arrived: 0, unknown: 3 });
});

test('a series is the same in whatever order its labels stand', () => {
  const { arrivals } = receiving();
  const labels = [
    { name: Buffer.from('n'), value: Buffer.from('1') },
    { name: Buffer.from('__name__'), value: Buffer.from('m') },
  ];
  const bytes = encodeLabels(labels);
  const usual = labelSet({ __name__: 'm', n: '1' });
  expect(arrivals.series(bytes, 0, bytes.length)).toBe(arrivals.series(usual, 0, usual.length));
});

test('what is missing makes percentiles and the last arrival unknown', () => {
  const { arrivals, arrive } = receiving();
  for (const moment of moments) arrive({ at: moment / 1000 });
  expect(arrivals.report([])).toMatchObject({
    ...{ arrived: 10, shareAtEnd: 0.5, firstArrival: 1, lastArrival: null },
    freshness: { p50: 1, p99: null, max: null },
  });
});

test('what arrives more than a scrape interval after the end is late', () => {
  const { arrivals, arrive } = receiving();
  for (const moment of moments) {
    arrive({ at: moment / 1000 });
    arrive({ n: 1, at: moment / 1000, after: moment < 90_000 ? 1 : 26 });
  }
  expect(arrivals.report([])).toMatchObject({ arrived: 20, shareAtEnd: 19 / 20 });
});

test('after a return: the first fresh sample, the last old one, and none overdue', () => {
  const { arrivals, arrive } = receiving();
  // No link from second 15 to 55; then what is old comes after what is new.
  for (const n of [0, 1]) {
    for (const at of [0, 10]) arrive({ n, at });
    for (const at of [60, 70, 80, 90]) arrive({ n, at, after: 2 });
  }
  arrive({ n: 0, at: 50, after: 8 });
  arrive({ n: 1, at: 50, after: 30 });
  arrive({ n: 0, at: 20, after: 36 });
  for (const at of [30, 40]) arrive({ n: 0, at, after: 85 - at });
  for (const at of [20, 30, 40]) {
    arrive({ n: 1, at, after: 95 - at });
  }
  expect(arrivals.report([START_MS + 55_000]).returns).toEqual([
    { at: 55, fresh: 3, old: 40, caughtUp: 40, arrived: 16 },
  ]);
});

test('a return after which nothing was late is caught up with at once', () => {
  const { arrivals, arrive } = receiving();
  for (const n of [0, 1]) for (const moment of moments) arrive({ n, at: moment / 1000 });
  expect(arrivals.report([START_MS + 55_000]).returns).toEqual([
    { at: 55, fresh: 6, old: 0, caughtUp: 0, arrived: 8 },
  ]);
});

test('what is overdue only later has nothing to do with a return', () => {
  const { arrivals, arrive } = receiving();
  for (const n of [0, 1]) {
    for (const moment of moments)
      arrive({ n, at: moment / 1000, after: moment === 20_000 ? 45 : 1 });
  }
  expect(arrivals.report([START_MS + 35_000]).returns).toMatchObject([
    { at: 35, old: 30, caughtUp: 0 },
  ]);
});

test('a return that nothing followed', () => {
  const { arrivals, arrive } = receiving();
  arrive({ at: 0 });
  expect(arrivals.report([START_MS + 55_000]).returns).toEqual([
    { at: 55, fresh: null, old: null, caughtUp: null, arrived: 0 },
  ]);
});

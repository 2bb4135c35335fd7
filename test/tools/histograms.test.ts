import { describe, expect, test } from 'vitest';
import { compareExemplars, type ExemplarsBySeries } from './exemplars.ts';
import {
  compareHistograms,
  type HistogramPoint,
  type HistogramsBySeries,
  histogramPoint,
} from './histograms.ts';
import { type DecodedHistogram, type DecodedSeries, WriteRequest } from './series-messages.ts';

const series = '{__name__="a"}';
const half = 0x3fe0_0000_0000_0000n;
const staleMarker = 0x7ff0_0000_0000_0002n;

/** As it comes off the wire, so that absent fields are as absent as there. */
function decoded(fields: object): DecodedHistogram {
  const bytes = WriteRequest.encode({ timeseries: [{ histograms: [fields] }] }).finish();
  const { timeseries } = WriteRequest.decode(bytes) as unknown as { timeseries: DecodedSeries[] };
  return timeseries[0]!.histograms[0]!;
}

function fixed64(bits: bigint): { low: number; high: number } {
  return { low: Number(bits & 0xffff_ffffn) | 0, high: Number(bits >> 32n) | 0 };
}

const integer = {
  countInt: 7,
  sum: fixed64(half),
  schema: 3,
  zeroThreshold: fixed64(half),
  zeroCountInt: 1,
  negativeSpans: [{ offset: 0, length: 1 }],
  negativeDeltas: [2],
  positiveSpans: [
    { offset: -2, length: 2 },
    { offset: 3, length: 1 },
  ],
  positiveDeltas: [1, 1, -1],
  timestamp: 1000,
};

test('a histogram is its bits and its populated buckets by index', () => {
  expect(histogramPoint(decoded(integer))).toEqual({
    timestamp: 1000,
    resetHint: 'unknown',
    value:
      'schema 3, count 7, sum 0x3fe0000000000000, zero 0x3fe0000000000000 1, ' +
      'negative 0:2, positive -2:1 -1:2 3:1, custom ',
  });
});

test('float counts and custom bounds are bits too', () => {
  const { value, resetHint } = histogramPoint(
    decoded({
      countFloat: fixed64(half),
      zeroCountFloat: fixed64(0n),
      schema: -53,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveCounts: [fixed64(0n), fixed64(half)],
      customValues: [fixed64(half)],
      resetHint: 3,
    }),
  );
  expect(value).toBe(
    'schema -53, count 0x3fe0000000000000, sum 0x0000000000000000, ' +
      'zero 0x0000000000000000 0x0000000000000000, ' +
      'negative , positive 1:0x3fe0000000000000, custom 0x3fe0000000000000',
  );
  expect(resetHint).toBe('gauge');
});

test('is the same however its spans are cut and whatever empty buckets they have', () => {
  const recut = {
    ...integer,
    positiveSpans: [
      { offset: -3, length: 1 },
      { offset: 0, length: 8 },
    ],
    positiveDeltas: [0, 1, 1, -2, 0, 0, 1, -1, 0],
  };
  const point = histogramPoint(decoded(integer));
  expect(histogramPoint(decoded(recut)).value).toBe(point.value);
});

test('a stale marker is one whatever else it says', () => {
  expect(histogramPoint(decoded({ ...integer, sum: fixed64(staleMarker) })).value).toBe('stale');
});

test('spans and counts that do not fit are not taken for a histogram', () => {
  const short = histogramPoint(decoded({ ...integer, positiveDeltas: [1, 1] }));
  expect(short.value).toContain('3 buckets for 2 counts');
});

describe('compareHistograms', () => {
  const change = (fields: object) => histogramPoint(decoded({ ...integer, ...fields }));
  const rows = () => [change({}), change({ timestamp: 2000 }), change({ timestamp: 3000 })];
  const bySeries = (points: HistogramPoint[]): HistogramsBySeries => new Map([[series, points]]);

  test('finds nothing when both hold the same, hints about resets apart', () => {
    const hinted = rows().with(1, change({ timestamp: 2000, resetHint: 1 }));
    expect(compareHistograms(bySeries(rows()), bySeries(hinted))).toEqual([]);
  });

  test.each<[string, HistogramPoint[]]>([
    ['one removed', rows().toSpliced(1, 1)],
    ['one twice', rows().toSpliced(1, 0, rows()[0]!)],
    ['a bucket changed', rows().with(1, change({ timestamp: 2000, positiveDeltas: [1, 2, -2] }))],
    ['a bucket moved', rows().with(1, change({ timestamp: 2000, negativeSpans: [span(1)] }))],
    ['a bit of the sum changed', rows().with(1, change({ timestamp: 2000, sum: fixed64(1n) }))],
    ['another schema', rows().with(1, change({ timestamp: 2000, schema: 2 }))],
    ['another zero count', rows().with(1, change({ timestamp: 2000, zeroCountInt: 2 }))],
    ['custom bounds', rows().with(1, change({ timestamp: 2000, customValues: [fixed64(1n)] }))],
    ['a gauge made of it', rows().with(1, change({ timestamp: 2000, resetHint: 3 }))],
    ['a timestamp moved', rows().with(1, change({ timestamp: 2001 }))],
  ])('names %s', (_what, destination) => {
    const differences = compareHistograms(bySeries(rows()), bySeries(destination));
    expect(differences).toEqual([expect.stringContaining('histogram 1 is ')]);
  });
});

describe('compareExemplars', () => {
  const rows = [
    { timestamp: 1000, value: '{trace_id="a"} 0x1' },
    { timestamp: 2000, value: '{trace_id="b"} 0x2' },
  ];
  const bySeries = (points: typeof rows): ExemplarsBySeries => new Map([[series, points]]);

  test('finds nothing when both hold the same', () => {
    expect(compareExemplars(bySeries(rows), bySeries([...rows]))).toEqual([]);
  });

  test.each<[string, typeof rows]>([
    ['one removed', rows.slice(0, 1)],
    ['a label changed', rows.with(1, { timestamp: 2000, value: '{trace_id="c"} 0x2' })],
    ['a timestamp moved', rows.with(1, { ...rows[1]!, timestamp: 2001 })],
  ])('names %s', (_what, destination) => {
    const differences = compareExemplars(bySeries(rows), bySeries(destination));
    expect(differences).toEqual([expect.stringContaining('exemplar 1 is ')]);
  });
});

function span(offset: number): object {
  return { offset, length: 1 };
}

import { expect, test } from 'vitest';
import { DecodeError } from '../../proto/bytes.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import { bodyOf, NEGATIVE_ZERO, type Row, STALE } from '../hub/refused-fixture.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { decodeExactly } from '../tools/exact-remote-write.ts';
import { decodeWhole1 } from '../tools/whole-remote-write.ts';
import { exemplarBytes, histogramBytes } from './objects/columns-fixture.ts';

const ROWS: readonly Row[] = [
  ['up', 1_700_000_000_000, 1n],
  ['up', 1_700_000_015_000, STALE],
  ['down', -5, NEGATIVE_ZERO],
  ['up', 1_700_000_030_000, 0xffff_ffff_ffff_ffffn],
  ['left', 2 ** 53, 0x7ff8_0000_0000_0000n],
];

test('a body that is read and written again is the same, byte for byte', () => {
  const body = bodyOf(ROWS);
  const samples = new WrittenSamples(body);
  expect(samples.count).toBe(ROWS.length);
  const rows = Uint32Array.from(ROWS.keys());
  expect(samples.encode(new WriteRequestEncoder(), rows)).toEqual(body);
});

test('every range of it holds the same samples bit for bit, and no others', () => {
  const samples = new WrittenSamples(bodyOf(ROWS));
  const encoder = new WriteRequestEncoder();
  for (let from = 0; from < ROWS.length; from++) {
    for (let to = from + 1; to <= ROWS.length; to++) {
      const rows = Uint32Array.from({ length: to - from }, (_, at) => from + at);
      const part = decodeExactly(samples.encode(encoder, rows));
      expect(part).toEqual(decodeExactly(bodyOf(ROWS.slice(from, to))));
    }
  }
});

test('it tells its time range, its series and a few examples', () => {
  const samples = new WrittenSamples(bodyOf([...ROWS, ['a', 1, 1n], ['b', 1, 1n]]));
  expect(samples.timeRange()).toEqual({ oldest: -5, newest: 2 ** 53 });
  expect(samples.examples()).toEqual(['{__name__="up"}', '{__name__="down"}', '{__name__="left"}']);
  expect(samples.seriesOf(2)).toBe('{__name__="down"}');
  expect(samples.firstOfEachSeries()).toEqual([0, 2, 4, 5, 6]);
});

test('histograms, exemplars and start timestamps are read and written again', () => {
  const encoder = new WriteRequestEncoder({ startTimestamps: true });
  const write = () => {
    const labels = labelBytes({ __name__: 'latency' });
    encoder.series(labels, 0, labels.length);
    encoder.exemplar(9, exemplarBytes('x'));
    encoder.histogram(10, histogramBytes(3, 1, 9), 5);
    encoder.series(labels, 0, labels.length);
    encoder.sample(20, 1, 2, 15);
    return encoder.finish();
  };
  const body = write();
  const samples = new WrittenSamples(body);
  expect(samples.count).toBe(3);
  expect([0, 1, 2].map((row) => samples.isExemplar(row))).toEqual([true, false, false]);
  expect(samples.firstOfEachSeries()).toEqual([1]);
  expect(samples.encode(encoder, Uint32Array.of(0, 1, 2))).toEqual(body);
  expect(decodeWhole1(samples.encode(encoder, Uint32Array.of(2)))).toMatchObject([
    { samples: [{ timestamp: '20', startTimestamp: '15' }] },
  ]);
});

test('a long label set is cut', () => {
  const [example] = new WrittenSamples(bodyOf([['x'.repeat(2000), 1, 1n]])).examples();
  expect(example).toHaveLength(500);
});

test('a damaged body is an error with a name', () => {
  const body = bodyOf(ROWS);
  expect(() => new WrittenSamples(body.subarray(0, body.length - 1))).toThrow(DecodeError);
});

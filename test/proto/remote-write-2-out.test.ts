import fc from 'fast-check';
import snappy from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { WriteRequest2Encoder } from '../../proto/remote-write/encoder-2.ts';
import type { WriteEncoder } from '../../proto/remote-write/write-encoder.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { decodeWhole1, decodeWhole2, type WholeSeries } from '../tools/whole-remote-write.ts';
import { exemplarBytes, histogramBytes } from './objects/columns-fixture.ts';

type Item =
  | { kind: 'sample'; timestamp: number; start: number; bits: bigint }
  | { kind: 'histogram'; timestamp: number; start: number; count: number }
  | { kind: 'exemplar'; timestamp: number; trace: string };

interface Run {
  labels: Record<string, string>;
  items: Item[];
}

function encode(encoder: WriteEncoder, runs: readonly Run[]): Uint8Array {
  for (const { labels, items } of runs) {
    // Framed by other bytes, as in an arena.
    const source = Uint8Array.from([9, ...labelBytes(labels), 9]);
    encoder.series(source, 1, source.length - 1);
    for (const item of items) {
      const { kind, timestamp } = item;
      if (kind === 'sample') {
        const { bits, start } = item;
        encoder.sample(timestamp, Number(bits & 0xffff_ffffn), Number(bits >> 32n), start);
      } else if (kind === 'histogram') {
        encoder.histogram(timestamp, histogramBytes(3, 1, item.count), item.start);
      } else {
        encoder.exemplar(timestamp, exemplarBytes(item.trace));
      }
    }
  }
  return encoder.finish();
}

const times = fc.oneof(
  fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(0, -1, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53)),
);
const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({
    kind: fc.constant('sample'),
    timestamp: times,
    start: times,
    bits: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  fc.record({
    kind: fc.constant('histogram'),
    timestamp: times,
    start: times,
    count: fc.nat(60),
  }),
  fc.record({
    kind: fc.constant('exemplar'),
    timestamp: times,
    trace: fc.string({ unit: 'grapheme-ascii', maxLength: 8 }),
  }),
);
const labels = fc
  .dictionary(fc.stringMatching(/^[a-z]{1,3}$/), fc.string({ minLength: 1, maxLength: 50 }), {
    maxKeys: 3,
  })
  .map((some) => ({ ...some, __name__: 'up' }));
const runs = fc.array(
  fc.record({ labels, items: fc.array(item, { minLength: 1, maxLength: 8 }) }),
  {
    minLength: 1,
    maxLength: 10,
  },
);

describe('a body of remote write 2.0', () => {
  it('holds all that one of 1.0 with start timestamps holds, in a reused encoder too', () => {
    const encoder1 = new WriteRequestEncoder({ startTimestamps: true });
    const encoder2 = new WriteRequest2Encoder();
    fc.assert(
      fc.property(runs, (some) => {
        const body = decodeWhole2(encode(encoder2, some));
        expect(body).toEqual(decodeWhole1(encode(encoder1, some)));
      }),
      { numRuns: 300 },
    );
  });

  it('is what the specification says, field by field', () => {
    const body = encode(new WriteRequest2Encoder(), [
      {
        labels: { __name__: 'up', job: 'up' },
        items: [
          { kind: 'sample', timestamp: 2, start: 1, bits: 0x7ff0_0000_0000_0002n },
          { kind: 'exemplar', timestamp: 3, trace: 'up' },
        ],
      },
    ]);
    const text = (some: string) => [0x22, some.length, ...Buffer.from(some)];
    const symbols = ['', '__name__', 'up', 'job', 'trace_id'].flatMap(text);
    const sample = [0x12, 13, 0x09, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f, 0x10, 2, 0x18, 1];
    const exemplar = [0x22, 6, 0x0a, 2, 4, 2, 0x18, 3];
    const series = [0x0a, 4, 1, 2, 3, 2, ...sample, ...exemplar];
    const expected = [...symbols, 0x2a, series.length, ...series];
    expect(uncompressed(body)).toBe(Buffer.from(expected).toString('hex'));
  });

  it('has every symbol once, the empty one first, and forgets them with the body', () => {
    const encoder = new WriteRequest2Encoder();
    const many = (from: number) =>
      Array.from(
        { length: 20_000 },
        (_, at): Run => ({
          labels: { __name__: 'up', job: `${(from + at) % 15_000}` },
          items: [{ kind: 'sample', timestamp: at, start: 0, bits: 1n }],
        }),
      );
    for (const from of [0, 100_000]) {
      const body = decodeWhole2(encode(encoder, many(from)));
      expect(body.map((series) => series.labels)).toEqual(
        many(from).map((run) => ['__name__', 'up', 'job', run.labels['job']]),
      );
    }
    const small = encode(encoder, many(7).slice(0, 1));
    expect(small.length).toBeLessThan(60);
  });

  it('keeps bytes that are no UTF-8', () => {
    const value = [0xff, 0xc3, 0x28];
    const label = [0x0a, 1, 0x61, 0x12, value.length, ...value];
    const source = Uint8Array.from([0x0a, label.length, ...label]);
    const encoder = new WriteRequest2Encoder();
    encoder.series(source, 0, source.length);
    encoder.sample(1, 0, 0);
    const [series] = decodeWhole2(encoder.finish()) as [WholeSeries];
    expect(series.labels).toEqual(['a', Buffer.from(value).toString('latin1')]);
  });

  it('has start timestamps, which one of 1.0 for a destination has not', () => {
    const one: Run = {
      labels: { __name__: 'up' },
      items: [
        { kind: 'sample', timestamp: 2, start: 1, bits: 1n },
        { kind: 'histogram', timestamp: 4, start: 3, count: 1 },
      ],
    };
    const [with2] = decodeWhole2(encode(new WriteRequest2Encoder(), [one]));
    expect(with2).toMatchObject({
      samples: [{ startTimestamp: '1' }],
      histograms: [{ startTimestamp: '3' }],
    });
    const [with1] = decodeWhole1(encode(new WriteRequestEncoder(), [one]));
    expect(with1?.samples[0]).not.toHaveProperty('startTimestamp');
    expect(with1?.histograms[0]).not.toHaveProperty('startTimestamp');
  });

  it('never holds a series without labels', () => {
    expect(() => new WriteRequest2Encoder().series(new Uint8Array(4), 2, 2)).toThrow(/labels/);
  });
});

function uncompressed(body: Uint8Array): string {
  return Buffer.from(snappy.uncompress(body)).toString('hex');
}

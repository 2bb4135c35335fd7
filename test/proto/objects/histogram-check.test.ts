import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../proto/bytes.ts';
import { HistogramCheck } from '../../../proto/objects/histogram-check.ts';
import { reduceHistogram } from '../../../proto/objects/histogram-reduction.ts';
import { field, fixed64 } from '../wire-fixture.ts';
import { histogram, type Shape, type Side, zigzag } from './histogram-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const check = new HistogramCheck();

function problem(shape: Shape): string | undefined {
  return check.problemOf(...message(histogram(shape)));
}

/** A message with rubbish on both sides. */
function message(bytes: Iterable<number>): [Uint8Array, number, number] {
  const padded = Uint8Array.from([0xff, 0xff, ...bytes, 0xff]);
  return [padded, 2, padded.length - 1];
}

const two: Side = { spans: [[0, 2]], counts: [1, 2] };
const custom = { schema: -53, customValues: [1, 2, 3], positive: two };

describe('a native histogram', () => {
  it.each<[string, Shape]>([
    ['of nothing', {}],
    ['with buckets on both sides', { positive: two, negative: two, zeroCount: 4 }],
    ['of floats', { isFloat: true, positive: { spans: [[0, 1]], counts: [0.5] }, count: 7 }],
    ['with custom buckets', custom],
    ['with custom buckets and one for the rest', { ...custom, customValues: [1] }],
    ['whose sum is NaN and some of whose observations were', { sum: Number.NaN, count: 3 }],
    ['that is stale, whatever else it says', { sumBits: STALE, count: 3, schema: 99 }],
    ['that begins below zero', { positive: { spans: [[-5, 1]], counts: [1] } }],
    ['of the coarsest schema', { schema: -4 }],
    ['of a schema that is reduced', { schema: 52 }],
    ['of counts up to 2^64', { positive: { spans: [[0, 1]], counts: [2n ** 63n - 1n] } }],
    ['that counts to 2^64 - 1', { zeroCount: 2n ** 64n - 1n }],
  ])('%s is good', (_, shape) => {
    expect(problem(shape)).toBeUndefined();
  });

  const negativeBucket = 'histogram has a bucket whose observation count is negative';
  it.each<[string, Shape, string]>([
    [
      'counts more than its buckets',
      { positive: two, count: 4 },
      "3 observations found in buckets, but the Count field is 4: histogram's observation count " +
        'should equal the number of observations found in the buckets (in absence of NaN)',
    ],
    [
      'counts less than its buckets, its sum being NaN',
      { positive: two, count: 2, sum: Number.NaN },
      "3 observations found in buckets, but the Count field is 2: histogram's observation count " +
        'should be at least the number of observations found in the buckets',
    ],
    [
      'counts one less near 2^60',
      { zeroCount: 2n ** 60n, count: 2n ** 60n - 1n },
      `${2n ** 60n} observations found in buckets, but the Count field is ${2n ** 60n - 1n}`,
    ],
    [
      'has a negative bucket',
      { positive: { spans: [[0, 2]], counts: [1, -1] } },
      `positive side: bucket number 2 has observation count of -1: ${negativeBucket}`,
    ],
    [
      'has a negative bucket of floats',
      { isFloat: true, negative: { spans: [[0, 1]], counts: [-0.5] } },
      `negative side: bucket number 1 has observation count of -0.5: ${negativeBucket}`,
    ],
    [
      'has a negative zero bucket',
      { isFloat: true, zeroCount: -1 },
      `zero bucket has observation count of -1: ${negativeBucket}`,
    ],
    [
      'has a negative count',
      { isFloat: true, count: -1 },
      "observation count is -1: histogram's observation count is negative",
    ],
    [
      'has spans for more buckets',
      { positive: { spans: [[0, 3]], counts: [1, 2] } },
      'positive side: spans need 3 buckets, have 2 buckets: ' +
        'histogram spans specify different number of buckets than provided',
    ],
    [
      'has a later span that goes back',
      {
        negative: {
          spans: [
            [0, 1],
            [-1, 1],
          ],
          counts: [1, 2],
        },
      },
      'negative side: span number 2 with offset -1: histogram has a span whose offset is negative',
    ],
    ['has schema 53', { schema: 53 }, 'histogram has an invalid schema'],
    ['has schema -5', { schema: -5 }, 'between -4 and 8 for exponential buckets, or -53'],
    [
      'has custom bounds beside a schema',
      { customValues: [1] },
      'histogram with exponential schema must not have custom bounds',
    ],
    [
      'has custom bounds out of order',
      { ...custom, customValues: [1, 3, 3] },
      'histogram custom bounds must be in strictly increasing order',
    ],
    [
      'has an infinite bound',
      { ...custom, customValues: [1, Number.POSITIVE_INFINITY] },
      'histogram custom bounds must be finite',
    ],
    [
      'has a bound that is NaN',
      { ...custom, customValues: [Number.NaN] },
      'custom bounds must not be NaN',
    ],
    ['has too few bounds', { ...custom, customValues: [] }, 'histogram custom bounds are too few'],
    [
      'has a custom span below zero',
      { ...custom, positive: { spans: [[-1, 2]], counts: [1, 2] } },
      'span number 1 with offset -1',
    ],
    [
      'has custom buckets and a zero bucket',
      { ...custom, zeroCount: 1 },
      'custom buckets: must have zero count of 0',
    ],
    [
      'has custom buckets and a zero threshold',
      { ...custom, zeroThreshold: 0.1 },
      'custom buckets: must have zero threshold of 0',
    ],
    [
      'has custom buckets below zero',
      { ...custom, negative: two },
      'custom buckets: must not have negative spans',
    ],
    [
      'has custom buckets below zero without a span',
      { ...custom, negative: { spans: [], counts: [1] } },
      'custom buckets: must not have negative buckets',
    ],
  ])('that %s is refused in the words of Prometheus', (_, shape, text) => {
    expect(problem(shape)).toContain(text);
  });

  it.each([
    ['a count that is a double', [0x09, ...fixed64(1n)]],
    ['spans that are a number', [0x40, 1]],
    ['deltas that are doubles', [0x49, ...fixed64(1n)]],
    ['a span whose offset is text', field(8, field(1, 'x'))],
    ['custom values cut off', field(16, [1, 2, 3])],
    ['a sum cut off', [0x19, 1, 2]],
  ])('with %s is no protobuf of it', (_, bytes) => {
    expect(() => check.problemOf(...message(bytes))).toThrow(DecodeError);
  });

  it('may have its buckets one by one', () => {
    const spans = field(11, [0x10, 2]);
    const bytes = [0x08, 3, ...spans, 0x60, ...zigzag(1), 0x60, ...zigzag(1)];
    expect(check.problemOf(...message(bytes))).toBeUndefined();
  });
});

const anySide = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 9 }),
      fc.array(fc.bigInt(0n, 99n), { minLength: 1, maxLength: 6 }),
    ),
    { maxLength: 4 },
  )
  .chain((runs) =>
    fc.integer({ min: -50, max: 50 }).map((first): Side => {
      const spans = runs.map(
        ([gap, counts], at) => [at === 0 ? first : gap, counts.length] as const,
      );
      return { spans, counts: runs.flatMap(([, counts]) => counts) };
    }),
  );

describe('random native histograms', () => {
  const anyShape = fc.record({
    negative: anySide,
    positive: anySide,
    zeroCount: fc.bigInt(0n, 9n),
  });

  it('are judged alike whether their counts are below 2^53 or beyond', () => {
    fc.assert(
      fc.property(anyShape, fc.integer({ min: -1, max: 1 }), (shape, off) => {
        for (const scale of [1n, 2n ** 52n]) {
          const scaled = (side: Side): Side => {
            return { ...side, counts: side.counts.map((count) => BigInt(count) * scale) };
          };
          const { negative, positive, zeroCount } = shape;
          const all = [...negative.counts, ...positive.counts, zeroCount];
          const total = all.reduce<bigint>((one, other) => one + BigInt(other), 0n) * scale;
          if (total + BigInt(off) < 0n) continue;
          const found = problem({
            negative: scaled(negative),
            positive: scaled(positive),
            zeroCount: zeroCount * scale,
            count: total + BigInt(off),
          });
          expect(found === undefined).toBe(off === 0);
        }
      }),
    );
  });

  it('of schema 9 to 52 keep every observation in the bucket of schema 8 that has its bound', () => {
    const any = fc.tuple(anyShape, fc.integer({ min: 9, max: 52 }), fc.boolean());
    fc.assert(
      fc.property(any, ([shape, schema, isFloat]) => {
        const [bytes, from, to] = message(histogram({ ...shape, schema, isFloat, timestamp: 7 }));
        expect(check.problemOf(bytes, from, to)).toBeUndefined();
        expect(check.isReducible).toBe(true);
        const reduced = reduceHistogram(check.content, bytes, from, to);
        expect(check.problemOf(reduced, 0, reduced.length)).toBeUndefined();
        expect(check.isReducible).toBe(false);
        const merged = 2 ** (schema - 8);
        for (const name of ['negative', 'positive'] as const) {
          expect(bucketsOf(check.content[name], isFloat)).toEqual(
            mergedBuckets(shape[name], merged),
          );
        }
      }),
    );
  });
});

/** Observations by index. */
function bucketsOf(side: HistogramCheck['content']['negative'], isFloat: boolean) {
  const buckets = new Map<number, number>();
  let index = 0;
  let next = 0;
  let count = 0;
  side.offsets.forEach((offset, span) => {
    index += offset;
    for (let i = 0; i < side.lengths[span]!; i++) {
      count = isFloat ? side.counts[next]! : count + side.deltas[next]!;
      expect(buckets.has(index)).toBe(false);
      buckets.set(index, count);
      index++;
      next++;
    }
  });
  return buckets;
}

function mergedBuckets({ spans, counts }: Side, merged: number) {
  const buckets = new Map<number, number>();
  let index = 0;
  let next = 0;
  for (const [offset, length] of spans) {
    index += offset;
    for (let i = 0; i < length; i++) {
      const into = Math.ceil(index / merged);
      buckets.set(into === 0 ? 0 : into, (buckets.get(into) ?? 0) + Number(counts[next]));
      index++;
      next++;
    }
  }
  return buckets;
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter, DecodeError } from '../../../proto/bytes.ts';
import { countsAfter, countsDifference } from '../../../proto/objects/counts.ts';

interface Counts {
  count: number | undefined;
  doubles: [field: number, bits: bigint][];
  zeroCount: number | undefined;
  deltas: number[];
  packed: bigint[];
}

/** The counts of a histogram as its fields ascend. */
function encode({ count, doubles, zeroCount, deltas, packed }: Counts): Uint8Array {
  const writer = new ByteWriter();
  const double = (bits: bigint): void => {
    writer.uint32(Number(bits & 0xffff_ffffn));
    writer.uint32(Number(bits >> 32n));
  };
  const doublesBefore = (field: number): void => {
    for (const [own, bits] of doubles) {
      if (own !== field) continue;
      writer.byte(own * 8 + 1);
      double(bits);
    }
  };
  if (count !== undefined) {
    writer.byte(0x08);
    writer.varint(count);
  }
  doublesBefore(2);
  doublesBefore(3);
  if (zeroCount !== undefined) {
    writer.byte(0x30);
    writer.varint(zeroCount);
  }
  doublesBefore(7);
  if (deltas.length > 0) {
    const part = new ByteWriter();
    for (const delta of deltas) part.zigzag(delta);
    writer.byte(0x62);
    writer.varint(part.length);
    writer.raw(part.finish());
  }
  if (packed.length > 0) {
    writer.byte(0x6a);
    writer.varint(packed.length * 8);
    for (const bits of packed) double(bits);
  }
  return writer.finish();
}

const bits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const integer = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.constant(2 ** 51));
const shapes = fc.record({
  hasCount: fc.boolean(),
  hasZero: fc.boolean(),
  doubles: fc.subarray([2, 3, 7]),
  deltas: fc.nat(12),
  packed: fc.nat(3),
});
/** Two histograms with the same fields. */
const pairs = shapes.chain((shape) => {
  const counts = fc.record({
    count: shape.hasCount ? integer : fc.constant(undefined),
    zeroCount: shape.hasZero ? integer : fc.constant(undefined),
    doubles: fc.tuple(
      ...shape.doubles.map((field) => fc.tuple(fc.constant(field), bits)),
    ) as fc.Arbitrary<[number, bigint][]>,
    deltas: fc.array(fc.integer({ min: -1000, max: 100_000 }), {
      minLength: shape.deltas,
      maxLength: shape.deltas,
    }),
    packed: fc.array(bits, { minLength: shape.packed, maxLength: shape.packed }),
  });
  return fc.tuple(counts, counts);
});

describe('the difference of two counts', () => {
  test('gives back the very bytes of the later ones', () => {
    fc.assert(
      fc.property(pairs, ([one, other]) => {
        const [before, now] = [encode(one), encode(other)];
        const difference = countsDifference(before, now);
        expect(Buffer.from(countsAfter(before, difference!))).toEqual(Buffer.from(now));
      }),
      { numRuns: 500 },
    );
  });

  test('is small numbers when a few buckets have grown, and the count with them', () => {
    const none = { doubles: [], packed: [] };
    const before = encode({ count: 1000, zeroCount: 100, deltas: [400, 100, -100], ...none });
    const now = encode({ count: 1006, zeroCount: 101, deltas: [402, 98, -97], ...none });
    expect([...countsDifference(before, now)!]).toEqual([2, 4, 0, 6, 0]);
  });

  test.each([
    ['other fields', [0x08, 1], [0x30, 1]],
    ['another number of buckets', [0x62, 1, 2], [0x62, 2, 2, 2]],
    ['a field that comes twice', [0x08, 1, 0x08, 2], [0x08, 1, 0x08, 3]],
    ['an unknown field', [0x08, 1, 0x98, 0x01, 1], [0x08, 2, 0x98, 0x01, 1]],
    ['an integer that is longer than it need be', [0x08, 1], [0x08, 0x82, 0]],
    ['a count beyond 2^52', [0x08, 1], [0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08]],
    ['no message', [0x08], [0x08, 1]],
    ['buckets that are cut off', [0x62, 1, 2], [0x62, 1, 0x80]],
  ])('is none for %s', (_, before, now) => {
    expect(countsDifference(Uint8Array.from(before), Uint8Array.from(now))).toBeUndefined();
  });

  test('that is damaged is an error with a name, or leads to other counts', () => {
    fc.assert(
      fc.property(pairs, fc.uint8Array({ maxLength: 40 }), ([one], difference) => {
        try {
          countsAfter(encode(one), difference);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter, DecodeError } from '../../proto/bytes.ts';
import { decodePack, PackEncoder } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { difference } from './codec/codec-fixture.ts';
import { SPECIAL_BITS } from './codec/value-kinds.ts';

const FORMAT = 3;
const IDS_MAX = 100;
const T0 = 1_800_000_000_000;

/** Sections of samples of a few series; of each, the timestamps grow. */
const sections = fc.array(
  fc.array(
    fc.record({
      id: fc.nat(9),
      bits: fc.oneof(
        fc.constantFrom(...SPECIAL_BITS),
        fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1)),
      ),
    }),
    { minLength: 1, maxLength: 30 },
  ),
  { minLength: 1, maxLength: 5 },
);

function packOf(parts: readonly SampleColumns[]): { bytes: Uint8Array; samples: number } {
  const encoder = new PackEncoder(sampleFormats.get(FORMAT)!, (id) => id % 3);
  for (const columns of parts) encoder.add(columns);
  const { samples } = encoder;
  expect(encoder.bytes).toBe(encoder.finish().length);
  return { bytes: encoder.finish(), samples };
}

/** Two sections of three series each. */
function example(): { bytes: Uint8Array; samples: number; columns: SampleColumns } {
  const parts = [0, 1].map((part) => {
    const columns = new SampleColumns();
    for (let row = 0; row < 12; row++) {
      columns.push(row % 3, T0 + (part * 12 + row) * 1000, row * 7919, 0x40590000 + row);
    }
    return columns;
  });
  const columns = new SampleColumns();
  for (const part of parts) columns.appendRows(part);
  return { ...packOf(parts), columns };
}

const decode = (bytes: Uint8Array, samples: number, into = new SampleColumns()) => {
  decodePack(bytes, { format: FORMAT, samples, idsMax: IDS_MAX }, into);
  return into;
};

/** Behind rows that are there already; says whether the bytes were accepted. */
function accepts(
  bytes: Uint8Array,
  samples: number,
  over: { format?: number; idsMax?: number } = {},
) {
  const into = new SampleColumns();
  into.push(5, 6, 7, 8);
  try {
    decodePack(bytes, { format: FORMAT, samples, idsMax: IDS_MAX, ...over }, into);
    expect(into.count).toBe(1 + samples);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    expect(into.count).toBe(1);
    return false;
  } finally {
    expect([into.ids[0], into.timestamps[0], into.valueBits[0], into.valueBits[1]]).toEqual([
      5, 6, 7, 8,
    ]);
  }
}

describe('a pack', () => {
  test('gives back every sample bit for bit, and those of each series in their order', () => {
    fc.assert(
      fc.property(sections, (drawn) => {
        let at = T0;
        const all = new SampleColumns();
        const parts = drawn.map((rows) => {
          const columns = new SampleColumns();
          for (const { id, bits } of rows) {
            at += 15_000;
            columns.push(id, at, bits[1], bits[0]);
          }
          all.appendRows(columns);
          return columns;
        });
        const { bytes, samples } = packOf(parts);
        expect(samples).toBe(all.count);
        expect(difference(all, decode(bytes, samples))).toBeUndefined();
      }),
      { numRuns: 50 },
    );
  });

  test('costs as little in its later sections as a live stream does', () => {
    const encoder = new PackEncoder(sampleFormats.get(FORMAT)!, () => 0);
    const grown = [1, 2, 3, 4].map((part) => {
      const columns = new SampleColumns();
      for (let row = 0; row < 1000; row++) {
        columns.push(row, T0 + part * 15_000, Math.imul(row, 0x9e3779b1) >>> 0, 0x40590000);
      }
      const before = encoder.bytes;
      encoder.add(columns);
      return encoder.bytes - before;
    });
    expect(grown.at(-1)! * 10).toBeLessThan(grown[0]!);
  });

  test('is behind what was decoded before it', () => {
    const { bytes, samples } = example();
    expect(accepts(bytes, samples)).toBe(true);
  });
});

describe('a pack is refused, and leaves no trace,', () => {
  const { bytes, samples, columns } = example();

  test('when it is cut off at any byte', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(accepts(bytes.subarray(0, length), samples), `${length} bytes`).toBe(false);
    }
  });

  test('or else has as many samples as it says, wherever a bit is flipped', () => {
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      if (!accepts(damaged, samples)) refused++;
    }
    expect(refused).toBeGreaterThan(bytes.length);
    expect(difference(columns, decode(bytes, samples))).toBeUndefined();
  });

  test('when it has more or fewer samples than it is said to have', () => {
    for (const wrong of [0, 1, 12, samples - 1, samples + 1, 500_000]) {
      expect(accepts(bytes, wrong), `${wrong} samples`).toBe(false);
    }
  });

  test('when something stands behind it, or a section is empty', () => {
    expect(accepts(Uint8Array.of(...bytes, 0), samples)).toBe(false);
    expect(accepts(Uint8Array.of(...bytes, 0, 0), samples)).toBe(false);
    expect(accepts(Uint8Array.of(...bytes, 0, 1, 0), samples)).toBe(false);
  });

  test('when a section claims more than there can be, before anything is allocated for it', () => {
    const writer = new ByteWriter();
    writer.varint(2 ** 40);
    writer.varint(1);
    writer.byte(0);
    expect(accepts(writer.finish(), samples)).toBe(false);
  });

  test('when it names a series beyond the limit, or comes in a format of the future', () => {
    expect(accepts(bytes, samples, { idsMax: 2 })).toBe(false);
    expect(accepts(bytes, samples, { format: 4711 })).toBe(false);
  });
});

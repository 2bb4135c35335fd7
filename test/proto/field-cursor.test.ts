import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../proto/bytes.ts';
import { FieldCursor } from '../../proto/field-cursor.ts';
import { field, varint } from './wire-fixture.ts';

function cursor(...bytes: number[]): FieldCursor {
  return new FieldCursor(Uint8Array.from(bytes));
}

const TWO_53 = 2n ** 53n;

describe('a cursor over protobuf fields', () => {
  it('reads every int64 within ±2^53 exactly and says NaN for every other one', () => {
    const near = (center: bigint) => fc.bigInt(center - 3n, center + 3n);
    const values = fc.oneof(
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      fc.bigInt(-(2n ** 54n), 2n ** 54n),
      near(0n),
      near(TWO_53),
      near(-TWO_53),
      near(2n ** 28n),
      near(-(2n ** 56n)),
    );
    fc.assert(
      fc.property(values, fc.nat(2), (value, padding) => {
        const bytes = varint(value);
        const padded = varint(value, Math.min(padding, 10 - bytes.length));
        const read = cursor(...padded).int64();
        const isExact = value >= -TWO_53 && value <= TWO_53;
        expect(read).toBe(isExact ? Number(value) : Number.NaN);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads lengths and tags of up to 32 bits, however long they are written', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(5), (value, padding) => {
        expect(cursor(...varint(value, padding)).uint32()).toBe(value);
      }),
    );
    expect(() => cursor(...varint(2 ** 32)).uint32()).toThrow('exceeds 32 bits');
  });

  it('refuses a number of more than ten bytes', () => {
    const endless = Array(11).fill(0x80);
    expect(() => cursor(...endless).int64()).toThrow('exceeds 64 bits');
    expect(() => cursor(...endless).uint32()).toThrow('exceeds 32 bits');
  });

  it('refuses a field with the number 0', () => {
    expect(() => cursor(0x02, 0).tag()).toThrow('number 0');
  });

  it('skips scalars, texts and nested groups', () => {
    const fields = [
      [0x08, ...varint(-1)],
      [0x09, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x0d, 1, 2, 3, 4],
      field(1, 'text'),
      [0x0b, 0x13, 0x08, 1, 0x14, 0x0a, 1, 0x0c, 0x0c],
    ];
    for (const bytes of fields) {
      const skipping = cursor(...bytes, 0xee);
      skipping.skip(skipping.tag());
      expect(skipping.at).toBe(bytes.length);
      for (let end = 1; end < bytes.length; end++) {
        const cut = new FieldCursor(Uint8Array.from([...bytes, 0xee]), 0, end);
        expect(() => cut.skip(cut.tag())).toThrow(DecodeError);
      }
    }
  });

  it('refuses wire types that do not exist and groups that never began', () => {
    expect(() => cursor().skip(0x0e)).toThrow('wire type 6');
    expect(() => cursor().skip(0x0f)).toThrow('wire type 7');
    expect(() => cursor().skip(0x0c)).toThrow('never began');
  });

  it('keeps a nested message within the message around it', () => {
    const bytes = cursor(0x0a, 3, 0x0a, 5, 0, 0, 0, 0, 0);
    bytes.tag();
    const outerEnd = bytes.enter();
    bytes.tag();
    expect(() => bytes.enter()).toThrow('beyond the end of their message at 5');
    bytes.leave(outerEnd);
    expect(bytes.end).toBe(9);
  });
});

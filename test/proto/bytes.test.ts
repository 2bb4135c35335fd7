import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, DecodeError } from '../../proto/bytes.ts';

const TWO_53 = 2 ** 53;
const zigzags = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, 63, 64, -64, -65, TWO_53, -TWO_53, TWO_53 - 1, 1 - TWO_53),
);

describe('bytes written', () => {
  it('are read back as the same numbers', () => {
    const numbers = fc.record({
      varint: fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constant(Number.MAX_SAFE_INTEGER)),
      zigzag: zigzags,
      uint32: fc.nat(0xffff_ffff),
      raw: fc.uint8Array(),
    });
    fc.assert(
      fc.property(fc.array(numbers), (rows) => {
        const writer = new ByteWriter(1);
        for (const { varint, zigzag, uint32, raw } of rows) {
          writer.varint(varint);
          writer.zigzag(zigzag);
          writer.uint32(uint32);
          writer.varint(raw.length);
          writer.raw(raw);
        }
        const reader = new ByteReader(writer.finish());
        for (const { varint, zigzag, uint32, raw } of rows) {
          expect(reader.varint()).toBe(varint);
          expect(reader.zigzag()).toBe(zigzag);
          expect(reader.uint32()).toBe(uint32);
          expect(reader.raw(reader.varint())).toEqual(raw);
        }
        expect(reader.done).toBe(true);
      }),
    );
  });

  it('are what protobuf writes: base 128, and zigzag for signed numbers', () => {
    const writer = new ByteWriter();
    writer.varint(300);
    for (const value of [0, -1, 1, -2, 150, -65]) writer.zigzag(value);
    expect([...writer.finish()]).toEqual([0xac, 2, 0, 1, 2, 3, 0xac, 2, 0x81, 1]);
  });

  it('stay when the writer is cleared and used again', () => {
    const writer = new ByteWriter();
    writer.byte(1);
    const first = writer.finish();
    writer.clear();
    writer.byte(2);
    expect([...first, ...writer.finish()]).toEqual([1, 2]);
  });
});

describe('a reader', () => {
  it('refuses a number that is cut off, at every place', () => {
    const writer = new ByteWriter();
    writer.zigzag(-TWO_53);
    const bytes = writer.finish();
    for (let end = 0; end < bytes.length; end++) {
      expect(() => new ByteReader(bytes, 0, end).zigzag()).toThrow(DecodeError);
    }
  });

  it('refuses numbers that a double would round', () => {
    const varint = (...bytes: number[]) => new ByteReader(Uint8Array.from(bytes)).varint();
    const ones = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    expect(varint(...ones, 0x0f)).toBe(Number.MAX_SAFE_INTEGER);
    const zeros = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
    expect(() => varint(...zeros, 0x10)).toThrow('exceeds 2^53');
    expect(() => varint(...ones, 0x8f, 0)).toThrow('exceeds 2^53');
    const beyond = Uint8Array.from([0x82, ...zeros.slice(1), 0x20]);
    expect(() => new ByteReader(beyond).zigzag()).toThrow('exceeds 2^53');
  });

  it('refuses bytes beyond its end, even when the array goes on', () => {
    const reader = new ByteReader(new Uint8Array(8), 2, 5);
    expect(() => reader.raw(4)).toThrow('4 bytes at byte 2 go beyond the end at 5');
    expect(reader.raw(3)).toHaveLength(3);
    expect(() => reader.byte()).toThrow(DecodeError);
  });
});

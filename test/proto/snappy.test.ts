import fc from 'fast-check';
import snappyjs from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { nodeMix15s, readCapture } from '../../bench/capture.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../../proto/snappy.ts';

const GUARD = 0xa5;

/** Decodes into a scratch with a guard behind the declared end. */
function decode(block: Uint8Array): Uint8Array {
  const declared = snappyDeclaredBytes(block);
  const into = new Uint8Array(declared + 16).fill(GUARD);
  try {
    expect(decodeSnappy(block, into)).toBe(declared);
  } finally {
    expect(into.subarray(declared).every((byte) => byte === GUARD)).toBe(true);
  }
  return into.subarray(0, declared);
}

function text(...block: (number | string)[]): string {
  const bytes = block.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : part));
  return Buffer.from(decode(Uint8Array.from(bytes))).toString();
}

/** Bytes with much repetition, so that every kind of copy occurs. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 90 }), fc.integer({ min: 1, max: 12 })))
  .map((parts) =>
    Uint8Array.from(
      parts.flatMap(([part, times]) =>
        Array(times)
          .fill([...part])
          .flat(),
      ),
    ),
  );

describe('a snappy block', () => {
  it('decodes literals with every form of length', () => {
    const x300 = 'x'.repeat(300);
    expect(text(3, 2 << 2, 'abc')).toBe('abc');
    expect(text(61, 60 << 2, 60, 'y'.repeat(61))).toBe('y'.repeat(61));
    expect(text(0xac, 2, 61 << 2, 43, 1, x300)).toBe(x300);
    expect(text(0xac, 2, 62 << 2, 43, 1, 0, x300)).toBe(x300);
    expect(text(0xac, 2, 63 << 2, 43, 1, 0, 0, x300)).toBe(x300);
  });

  it('decodes copies with offsets of one, two and four bytes, overlapping ones too', () => {
    expect(text(8, 3 << 2, 'abcd', 1, 4)).toBe('abcdabcd');
    expect(text(8, 3 << 2, 'abcd', (3 << 2) | 2, 4, 0)).toBe('abcdabcd');
    expect(text(8, 3 << 2, 'abcd', (3 << 2) | 3, 4, 0, 0, 0)).toBe('abcdabcd');
    expect(text(12, 0, 'a', (6 << 2) | 1, 1, (0 << 2) | 2, 1, 0)).toBe('a'.repeat(12));
    expect(text(12, 1 << 2, 'ab', (6 << 2) | 1, 2)).toBe('ab'.repeat(6));
    expect(text(15, 4 << 2, 'abcde', (6 << 2) | 1, 5)).toBe('abcde'.repeat(3));
  });

  it('of no bytes decodes to none', () => {
    expect(text(0)).toBe('');
  });

  it('decodes as snappyjs wrote it', () => {
    fc.assert(
      fc.property(repetitive, (content) => {
        expect(decode(snappyjs.compress(content))).toEqual(content);
      }),
    );
  });

  it('decodes as Prometheus wrote it', () => {
    for (const { body } of readCapture(nodeMix15s).slice(0, 40)) {
      expect(Buffer.compare(decode(body), snappyjs.uncompress(body))).toBe(0);
    }
  });

  it.each([
    ['nothing', [], 'the declared length is cut off'],
    ['half a length', [0x80], 'the declared length is cut off'],
    ['a length of 2^32', [0x80, 0x80, 0x80, 0x80, 0x10], 'exceeds 32 bits'],
    ['a length without end', [0x80, 0x80, 0x80, 0x80, 0x80, 0], 'exceeds 32 bits'],
    ['a literal beyond the end', [4, 3 << 2, 97, 97], 'a literal goes beyond the end'],
    ['a cut length of a literal', [70, 61 << 2, 69], 'cut off'],
    ['a cut offset', [8, 3 << 2, 1, 2, 3, 4, (3 << 2) | 2, 4], 'cut off'],
    ['a copy from nowhere', [8, 1, 1], 'a copy from before the start'],
    ['a copy with offset 0', [8, 3 << 2, 1, 2, 3, 4, 1, 0], 'a copy from before the start'],
    ['a copy beyond the declared end', [7, 3 << 2, 1, 2, 3, 4, 1, 4], 'more than was declared'],
    ['a literal beyond the declared end', [1, 1 << 2, 97, 97], 'more than was declared'],
    ['less than declared', [4, 1 << 2, 97, 97], '2 bytes where 4 were declared'],
  ])('with %s is refused by name', (_, block, message) => {
    const attempt = () => decode(Uint8Array.from(block));
    expect(attempt).toThrow(DecodeError);
    expect(attempt).toThrow('snappy: corrupt input: ');
    expect(attempt).toThrow(message);
  });

  it('cut off anywhere is refused', () => {
    const content = Buffer.from('a mix of text, text, text and more text '.repeat(9));
    const block = snappyjs.compress(content);
    for (let length = 0; length < block.length; length++) {
      expect(() => decode(block.subarray(0, length))).toThrow(DecodeError);
    }
  });

  it('with flipped bits is refused or decodes as snappyjs decodes it, within its bounds', () => {
    const flips = fc.array(fc.nat(), { minLength: 1, maxLength: 3 });
    let decodedCount = 0;
    fc.assert(
      fc.property(repetitive, flips, (content, positions) => {
        const block = snappyjs.compress(content);
        for (const position of positions) {
          const bit = position % (block.length * 8);
          block[bit >> 3]! ^= 1 << (bit & 7);
        }
        let decoded: Uint8Array;
        try {
          if (snappyDeclaredBytes(block) > 1e6) return;
          decoded = decode(block);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        decodedCount++;
        expect(decoded).toEqual(snappyjs.uncompress(block));
      }),
      { numRuns: 2000 },
    );
    expect(decodedCount).toBeGreaterThan(0);
  });
});

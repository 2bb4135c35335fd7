import { describe, expect, test } from 'vitest';
import { bytesOfText, compareTexts, normalText, textOfBytes } from '../../proto/byte-text.ts';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('the text of bytes', () => {
  test.each([
    [[0x61, 0xc3, 0xb6, 0xf0, 0x9f, 0x98, 0x80], 'aö😀'],
    [[0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
    [[0xff], '\udcff'],
    [[0xc3], '\udcc3'],
    [[0xc3, 0x28], '\udcc3('],
    [[0xed, 0xa0, 0x80], '\udced\udca0\udc80'],
    [[0xed, 0xb2, 0x80], '\udced\udcb2\udc80'],
    [[0xc0, 0x80], '\udcc0\udc80'],
    [[0xe2, 0x98, 0x61], '\udce2\udc98a'],
    [[0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],
    [[0xef, 0xbf, 0xbd], '\ufffd'],
    [[], ''],
  ])('%j has an escape for each byte that belongs to no character', (values, text) => {
    expect(textOfBytes(bytes(...values))).toBe(text);
    expect([...bytesOfText(text)]).toEqual(values);
  });

  test('leads back to the same bytes, whatever they are, and keeps their order', () => {
    const random = seededRandom(seedOfRun());
    const alphabet = [0x61, 0x62, 0xc3, 0xb6, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0xef, 0xbf, 0xbd, 0xff];
    const draw = () =>
      Uint8Array.from({ length: Math.floor(random.float() * 8) }, () => {
        return alphabet[Math.floor(random.float() * alphabet.length)]!;
      });
    for (let round = 0; round < 5000; round++) {
      const [left, right] = [draw(), draw()];
      const [leftText, rightText] = [textOfBytes(left), textOfBytes(right)];
      expect(bytesOfText(leftText)).toEqual(Buffer.from(left));
      expect(Math.sign(compareTexts(leftText, rightText))).toBe(Buffer.compare(left, right));
      const joined = textOfBytes(Buffer.concat([left, right]));
      expect(normalText(leftText + rightText)).toBe(joined);
    }
  });

  test('has no bytes for other halves of characters', () => {
    expect(bytesOfText('a\ud800b').toString()).toBe('a\ufffdb');
  });
});

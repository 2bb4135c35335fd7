import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  compressFrame,
  decompressFrame,
  FrameError,
  FrameTooLargeError,
} from '../../proto/zstd.ts';
import { seededRandom } from '../tools/seeded-random.ts';

const random = seededRandom('zstd');
const noise = (bytes: number) => Uint8Array.from({ length: bytes }, () => random.float() * 256);
const contents = [0, 1, 255, 256, 257, 65_535, 65_536, 66_000, 300_000].flatMap((bytes) => [
  new Uint8Array(bytes),
  noise(Math.min(bytes, 5000)),
]);

test('a frame opens to what was put in, here and in another implementation', () => {
  for (const content of contents) {
    const frame = compressFrame(content, 3);
    expect(new Uint8Array(decompressFrame(frame, content.length))).toEqual(content);
    expect(new Uint8Array(zstdDecompressSync(frame))).toEqual(content);
  }
});

describe('what is refused before anything is allocated', () => {
  test('content over the limit, by the size it declares', () => {
    const bomb = compressFrame(new Uint8Array(64 * 2 ** 20), 3);
    expect(bomb.length).toBeLessThan(10_000);
    expect(() => decompressFrame(bomb, 2 ** 20)).toThrow(FrameTooLargeError);
    const one = compressFrame(new Uint8Array(1001), 3);
    expect(() => decompressFrame(one, 1000)).toThrow(/1001 bytes exceeds the limit of 1000/);
  });

  test('a frame that does not declare its content size, or carries no checksum', () => {
    const content = Buffer.from('content');
    // 200 and 201 are ZSTD_c_contentSizeFlag and ZSTD_c_checksumFlag.
    const frameWith = (size: number, checksum: number) =>
      zstdCompressSync(content, { params: { 200: size, 201: checksum } });
    expect(decompressFrame(frameWith(1, 1), 100)).toEqual(content);
    expect(() => decompressFrame(frameWith(1, 0), 100)).toThrow(/no checksum/);
    const undeclared = compressFrame(content, 3);
    undeclared[4]! &= ~0xe0;
    expect(() => decompressFrame(undeclared, 100)).toThrow(/does not declare/);
  });

  test('two frames, or anything behind the one', () => {
    const frame = compressFrame(Buffer.from('content'), 3);
    expect(() => decompressFrame(Buffer.concat([frame, frame]), 100)).toThrow(/behind the frame/);
    expect(() => decompressFrame(Buffer.concat([frame, Buffer.of(0)]), 100)).toThrow(FrameError);
    const skippable = Buffer.from('502a4d1800000000', 'hex');
    expect(() => decompressFrame(Buffer.concat([skippable, frame]), 100)).toThrow(/not a zstd/);
  });
});

test('a frame cut off anywhere, or with any bit flipped, is an error by name', () => {
  const content = Buffer.concat([noise(300), new Uint8Array(300), noise(30)]);
  const frame = compressFrame(content, 3);
  for (let end = 0; end < frame.length; end++) {
    expect(() => decompressFrame(frame.subarray(0, end), 10_000)).toThrow(FrameError);
  }
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const flipped = Buffer.from(frame);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    let opened: Buffer | undefined;
    try {
      opened = decompressFrame(flipped, 10_000);
    } catch (error) {
      expect(error).toBeInstanceOf(FrameError);
    }
    // A few bits say nothing about the content, such as those for decoders' memory.
    if (opened !== undefined) expect(opened).toEqual(content);
  }
});

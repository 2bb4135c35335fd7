import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  compressFrame,
  decompressForeignFrame,
  decompressFrame,
  FrameError,
  FrameTooLargeError,
  foreignFrameBytes,
  isZstdFrame,
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

describe('a frame of another program', () => {
  /** Declares its content size or not, carries a checksum or not. */
  const frameOf = (content: Uint8Array, size: number, checksum: number) => {
    const params = {
      [constants.ZSTD_c_contentSizeFlag]: size,
      [constants.ZSTD_c_checksumFlag]: checksum,
    };
    return zstdCompressSync(content, { params });
  };

  test('opens with and without checksum and content size', () => {
    for (const content of contents) {
      for (const frame of [
        frameOf(content, 1, 0),
        frameOf(content, 0, 0),
        frameOf(content, 0, 1),
      ]) {
        expect(isZstdFrame(frame)).toBe(true);
        expect(foreignFrameBytes(frame) ?? content.length).toBe(content.length);
        expect(new Uint8Array(decompressForeignFrame(frame, 300_000))).toEqual(content);
      }
    }
  });

  test('is not opened beyond the limit, declared or not', () => {
    const content = new Uint8Array(64 * 2 ** 20);
    expect(() => decompressForeignFrame(frameOf(content, 1, 0), 1000)).toThrow(FrameTooLargeError);
    const undeclared = withoutContentSize(frameOf(content, 1, 0));
    expect(foreignFrameBytes(undeclared)).toBeUndefined();
    expect(() => decompressForeignFrame(undeclared, 1000)).toThrow(FrameError);
  });

  test('is one: what stands behind it would be lost', () => {
    const frame = frameOf(Buffer.from('content'), 1, 0);
    expect(() => foreignFrameBytes(Buffer.concat([frame, frame]))).toThrow(/behind the frame/);
    for (let end = 0; end < frame.length; end++) {
      expect(() => decompressForeignFrame(frame.subarray(0, end), 100)).toThrow(FrameError);
    }
  });
});

/** A frame of several segments as a writer begins it that does not know how long it will be. */
function withoutContentSize(frame: Buffer): Buffer {
  const isSingleSegment = (frame[4]! & 0x20) !== 0;
  const sizeFlag = frame[4]! >> 6;
  expect(isSingleSegment).toBe(false);
  const blocks = frame.subarray(6 + (sizeFlag === 0 ? 0 : 1 << sizeFlag));
  return Buffer.concat([frame.subarray(0, 4), Buffer.of(frame[4]! & 0x3f, frame[5]!), blocks]);
}

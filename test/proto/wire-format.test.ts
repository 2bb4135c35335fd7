import { zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { encodeBatch } from '../../proto/batch.ts';
import { compressFrame, decompressFrame } from '../../proto/zstd.ts';
import {
  documentedFrame,
  documentedRows,
  exampleBatch,
  examplePack,
  readBatch,
} from './wire-format-example.ts';

describe.each([
  ['## Example', exampleBatch()],
  ['## Example of a pack', examplePack()],
])('"%s" of docs/wire-format.md', (heading, batch) => {
  test('is what is written today', () => {
    const written = Buffer.from(compressFrame(encodeBatch(batch), 3));
    expect(documentedFrame(heading).toString('hex')).toBe(written.toString('hex'));
  });

  test('is read as what it says, by zstd as well', () => {
    const content = decompressFrame(documentedFrame(heading), 120);
    expect(content).toEqual(zstdDecompressSync(documentedFrame(heading)));
    expect(readBatch(content)).toEqual(batch);
  });

  test('has the offsets of the bytes beside them', () => {
    let end = 0;
    for (const { bytes, offset } of documentedRows(heading)) {
      expect(offset).toBe(end);
      end += bytes.length;
    }
    expect(end).toBe(documentedFrame(heading).length);
  });
});

import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { encodeBatch } from '../../proto/batch.ts';
import { compressFrame, decompressFrame } from '../../proto/zstd.ts';
import { documentedFrame, exampleBatch, readBatch } from './wire-format-example.ts';

test('the example of docs/wire-format.md is what is written today', () => {
  const written = Buffer.from(compressFrame(encodeBatch(exampleBatch()), 3));
  expect(documentedFrame().toString('hex')).toBe(written.toString('hex'));
});

test('the example of docs/wire-format.md is read as what it says, by zstd as well', () => {
  const content = decompressFrame(documentedFrame(), 120);
  expect(content).toEqual(zstdDecompressSync(documentedFrame()));
  expect(readBatch(content)).toEqual(exampleBatch());
});

test('the offsets in docs/wire-format.md are those of the bytes beside them', () => {
  const text = readFileSync(new URL('../../docs/wire-format.md', import.meta.url), 'utf8');
  let offset = 0;
  for (const [, hex = '', stated] of text.matchAll(/^\| `([0-9a-f]{2}[0-9a-f ]*)` \| (\d+) \|/gm)) {
    expect(Number(stated)).toBe(offset);
    offset += hex.split(' ').length;
  }
  expect(offset).toBe(documentedFrame().length);
});

import { createZstdCompress } from 'node:zlib';
import { expect, test } from 'vitest';
import { foreignFrameBytes } from '../../proto/zstd.ts';
import { label, sample, writeRequest } from '../proto/wire-fixture.ts';
import { body, good, open, post, startIngest } from './ingest-fixture.ts';

// A reload changes the limits under a handler that goes on.

const large = [...label('__name__', 'up'), ...label('a', 'x'.repeat(60_000)), ...sample(1, 2n)];

test('bodies may be larger than any before once max_decoded is raised', async () => {
  const { url, limits, buffer } = await startIngest({ decodedBytesMax: 50_000 });
  expect((await post(url, body(large))).status).toBe(400);
  limits.decodedBytesMax = 200_000;
  const large2 = [...large, ...label('b', 'y'.repeat(60_000))];
  expect((await post(url, body(large, large, large2))).status).toBe(400);
  expect((await post(url, body(large, large))).status).toBe(204);
  expect(buffer.samples).toHaveLength(2);
});

test('a zstd frame that declares no size is taken once max_decoded is lowered', async () => {
  const { url, limits } = await startIngest({ decodedBytesMax: 200_000 });
  limits.decodedBytesMax = 100_000;
  const frame = await zstdWithoutSize(writeRequest([...label('__name__', 'up'), ...sample(1, 2n)]));
  const headers = { 'content-encoding': 'zstd' };
  expect((await post(url, frame, { headers })).status).toBe(204);
  const larger = await zstdWithoutSize(new Uint8Array(100_001));
  expect((await post(url, larger, { headers })).status).toBe(400);
});

test('max_in_flight holds from the reload on', async () => {
  const { url, limits } = await startIngest({ inFlightBytesMax: 1_000_000 });
  const headers = { 'content-length': 500_000 };
  const slow = open(url, { headers });
  slow.request.write(Uint8Array.of(0));
  limits.inFlightBytesMax = 500_000;
  // Once the slow one has arrived.
  await expect.poll(async () => (await post(url, good)).status).toBe(503);
  limits.inFlightBytesMax = 2_000_000;
  expect((await post(url, good)).status).toBe(204);
  slow.reply.catch(() => {});
  slow.request.destroy();
});

async function zstdWithoutSize(bytes: Uint8Array): Promise<Buffer> {
  const stream = createZstdCompress();
  // All at once, it would be declared.
  stream.write(bytes);
  stream.end();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const frame = Buffer.concat(chunks);
  expect(foreignFrameBytes(frame)).toBeUndefined();
  return frame;
}

import snappyjs from 'snappyjs';
import { expect, test } from 'vitest';
import type { AppendOutcome } from '../../agent/ingest/ingest.ts';
import { field, label } from '../proto/wire-fixture.ts';
import { good, post, startIngest } from './ingest-fixture.ts';

// A message without fields takes two bytes of a body, and hundreds in memory.

/** Otherwise empty ones are left out, which takes no memory. */
const ALL_EXEMPLARS = { exemplarLabelLengthMax: 0 };

const SAMPLES = 2;
const EXEMPLARS = 3;
const HISTOGRAMS = 4;

/** A request of one series with `count` empty messages of a kind. */
function emptyMessages(kind: number, count: number): Uint8Array {
  const messages = Buffer.alloc(count * 2, Uint8Array.of(kind * 8 + 2, 0));
  const series = Buffer.concat([Uint8Array.from(label('__name__', 'up')), messages]);
  const head = field(1, new Uint8Array(series.length)).slice(0, -series.length);
  return snappyjs.compress(Buffer.concat([Uint8Array.from(head), series]));
}

test.each([
  [SAMPLES, 4_000_001, 'more than 4000000 samples'],
  [EXEMPLARS, 250_001, 'more than 250000 native histograms and exemplars'],
  [HISTOGRAMS, 250_001, 'more than 250000 native histograms and exemplars'],
])('more messages of field %i than a real request has are refused', async (kind, count, why) => {
  const { url, buffer } = await startIngest(ALL_EXEMPLARS);
  const reply = await post(url, emptyMessages(kind, count));
  expect(reply).toMatchObject({ status: 400, text: `nothing stored: ${why}\n` });
  expect(buffer.appends).toBe(0);
});

test('what a request takes in memory counts, and not only its bytes', async () => {
  const { url, buffer } = await startIngest({ ...ALL_EXEMPLARS, inFlightBytesMax: 1_000_000 });
  let store: (outcome: AppendOutcome) => void = () => {};
  buffer.answer = () => new Promise((resolve) => (store = resolve));
  // Alone it fits, though 1000 exemplars take 864 kB.
  const first = post(url, emptyMessages(EXEMPLARS, 1000));
  await expect.poll(() => buffer.appends).toBe(1);
  expect((await post(url, emptyMessages(EXEMPLARS, 1000))).status).toBe(503);
  buffer.answer = async () => ({ kind: 'stored' });
  expect((await post(url, good)).status).toBe(204);
  store({ kind: 'stored' });
  expect((await first).status).toBe(204);
  expect((await post(url, emptyMessages(EXEMPLARS, 2000))).status).toBe(204);
});

import { uncompress } from 'snappyjs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Destination } from '../../hub/write/destination.ts';
import { MetadataSender } from '../../hub/write/metadata-sender.ts';
import type { Post } from '../../hub/write/post.ts';
import { ByteWriter } from '../../proto/bytes.ts';
import { writeBytesField } from '../../proto/field-writer.ts';
import { type CortexDestination, startCortexDestination } from '../tools/cortex-destination.ts';
import { Workspace } from '../tools/workspace.ts';
import { SENDER } from './cortex-hub.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

let workspace: Workspace;
let cortex: CortexDestination;
let post: Post;
let nowMs: number;
let lines: { key: string; fields: Record<string, unknown> }[];
let sender: MetadataSender;

beforeEach(async () => {
  workspace = new Workspace('metadata-refused');
  nowMs = 1_700_000_000_000;
  lines = [];
  cortex = await startCortexDestination({ now: () => nowMs });
  workspace.onClose(() => cortex.close());
  const destination = new Destination({ ...SENDER, url: cortex.url });
  workspace.onClose(() => destination.close());
  post = destination.post;
  sender = start();
});
afterEach(() => workspace.close());

const log = {
  warn: (key: string, fields: object) => void lines.push({ key, fields: { ...fields } }),
  error: () => {},
};

/** One whose waits are over at once; `round` takes a minute of it. */
let endRound = () => {};
function start(): MetadataSender {
  const sleep = async (ms: number) => {
    nowMs += ms;
    if (ms === MINUTE_MS) endRound();
  };
  const clock = { now: () => nowMs, elapsedMs: () => nowMs, sleep };
  return new MetadataSender({ kind: 'cortex', post: (request) => post(request), clock, log });
}

/** One round: the minute before it and all that is sent; resolves with the requests of it. */
async function round(known: Record<string, Map<string, Uint8Array>>) {
  const before = cortex.requests.length;
  const ending = new AbortController();
  let rounds = 0;
  endRound = () => {
    if (++rounds === 2) ending.abort();
  };
  const tenants = Object.entries(known).map(([tenant, records]) => ({ tenant, records }));
  await sender.run(() => tenants, ending.signal);
  return cortex.requests.slice(before).map(({ status, body }) => [status, body.metadata.length]);
}

/** A gauge with this HELP. */
function record(family: string, help: string): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(0x08);
  writer.varint(2);
  writeBytesField(writer, 0x12, Buffer.from(family));
  writeBytesField(writer, 0x22, Buffer.from(help));
  return writer.finish();
}

function recordsOf(count: number, helpOf: (index: number) => string = () => 'x') {
  return new Map(
    Array.from({ length: count }, (_, index) => {
      const family = `family_${index}`;
      return [family, record(family, helpOf(index))] as const;
    }),
  );
}

const LONG = 'x'.repeat(1025);
const refusedLines = () => lines.filter(({ key }) => key === 'metadata refused');

describe('metadata that the destination refuses', () => {
  test('is found, left out and said once; all the rest is there', async () => {
    const guilty = new Set([0, 311, 312, 499]);
    const known = { t: recordsOf(500, (index) => (guilty.has(index) ? LONG : 'x')) };
    await round(known);
    expect(cortex.rules.metadata('t').size).toBe(496);
    expect(refusedLines().map(({ fields }) => fields['metric'])).toEqual(
      Array.from(guilty, (index) => `family_${index}`),
    );
    expect(refusedLines()[0]?.fields).toMatchObject({
      tenant: 't',
      answer: expect.stringMatching(/^400 metadata 'HELP' value too long/),
    });
    expect(await round(known)).toEqual([[200, 496]]);
    expect(refusedLines()).toHaveLength(4);
  });

  test('is tried again once it has changed, and after a day', async () => {
    const known = { t: recordsOf(3, (index) => (index === 1 ? LONG : 'x')) };
    await round(known);
    nowMs += DAY_MS - 3 * MINUTE_MS;
    expect(await round(known)).toEqual([[200, 2]]);
    nowMs += 2 * MINUTE_MS;
    expect((await round(known))[0]).toEqual([400, 3]);
    known.t.set('family_1', record('family_1', 'short'));
    expect(await round(known)).toEqual([[200, 3]]);
    expect(refusedLines()).toHaveLength(2);
  });

  test('is remembered for its own tenant only', async () => {
    const records = recordsOf(2, (index) => (index === 1 ? LONG : 'x'));
    await round({ t: records });
    cortex.rules.setLimits('u', { maxMetadataLength: 2000 });
    await round({ t: records, u: records });
    expect([cortex.rules.metadata('t').size, cortex.rules.metadata('u').size]).toEqual([1, 2]);
  });

  test('costs a bounded number of requests a minute, and ends', async () => {
    const known = { t: recordsOf(200, () => LONG) };
    const requests: number[] = [];
    while (refusedLines().length < 200 && requests.length < 20) {
      requests.push((await round(known)).length);
    }
    expect(requests.length).toBeLessThan(10);
    expect(Math.max(...requests)).toBe(64);
    expect(await round(known)).toEqual([]);
  });

  test('is delivered in smaller requests where the tenant may not write so much at once', async () => {
    cortex.rules.setLimits('t', { ingestionRate: 500, ingestionBurstSize: 100 });
    await round({ t: recordsOf(290) });
    expect(cortex.rules.metadata('t').size).toBe(290);
    const again = await round({ t: recordsOf(290) });
    expect(again.length).toBeLessThan(10);
    const taken = again.filter(([status]) => status === 200).map(([, count]) => count!);
    expect(taken.reduce((sum, count) => sum + count)).toBe(290);
    expect(lines).toEqual([]);
  });

  test('waits where nothing may be written for a while, and goes on where it has stopped', async () => {
    cortex.rules.setLimits('t', { ingestionRate: 1, ingestionBurstSize: 100 });
    await round({ t: recordsOf(150) });
    const first = cortex.rules.metadata('t').size;
    expect(first).toBeLessThan(150);
    expect(lines.map(({ key }) => key)).toEqual(['metadata']);
    await round({ t: recordsOf(150) });
    expect(cortex.rules.metadata('t').size).toBe(150);
  });

  test.each([
    [413, 'too large'],
    [500, 'panic'],
  ])('with %d is found where the rest is taken', async (status, body) => {
    const real = post;
    post = async (request) => {
      const isGuilty = Buffer.from(uncompress(request.body)).includes('family_7');
      return isGuilty ? { kind: 'answer', status, body, headers: {} } : real(request);
    };
    const known = { t: recordsOf(10) };
    await round(known);
    expect(cortex.rules.metadata('t').size).toBe(9);
    expect(refusedLines().map(({ fields }) => fields['metric'])).toEqual(['family_7']);
    expect(await round(known)).toEqual([[200, 9]]);
  });

  test('is not searched for in an outage', async () => {
    let requests = 0;
    post = async () => {
      requests++;
      return { kind: 'answer', status: 500, body: 'empty ring', headers: {} };
    };
    await round({ t: recordsOf(1000) });
    expect(requests).toBeLessThan(12);
    expect(lines.map(({ key }) => key)).toEqual(['metadata']);
  });

  test('does not keep other tenants waiting', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const real = post;
    post = async (request) => {
      if (request.tenant === 'stuck') await promise;
      return real(request);
    };
    const rounds = round({ stuck: recordsOf(1), t: recordsOf(1) });
    await expect.poll(() => cortex.rules.metadata('t').size).toBe(1);
    resolve();
    await rounds;
  });
});

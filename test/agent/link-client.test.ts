import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HubClient } from '../../agent/ship/hub-client.ts';
import type { Traffic } from '../../agent/ship/link-turns.ts';
import { sendText } from '../../base/http-server.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { connectTo, startTinyHub } from './link-fixture.ts';

const pem = (name: string) =>
  readFileSync(new URL(`../fixtures/loopback.${name}`, import.meta.url), 'utf8');
const tls = { certPem: pem('crt'), keyPem: pem('key') };

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('link-client');
});
afterEach(() => workspace.close());

const never = new AbortController().signal;

function post(client: HubClient, frame: Uint8Array, traffic: Traffic = 'live', signal = never) {
  return client.postBatch(frame, signal, traffic);
}

function body(bytes: number): Buffer {
  return Buffer.alloc(bytes, 'starferry');
}

describe.each([
  ['http', {}],
  ['https', { tls }],
])('a limit of 50 kB/s over %s', (_scheme, options) => {
  test('is kept in real bytes, and every body arrives as it was', async () => {
    const { url, proxy, bodies } = await startTinyHub(workspace, options);
    const config = { bytesPerSecondMax: 50_000 };
    const client = connectTo(workspace, url, { config, caPem: tls.certPem });
    const large = body(30_000);
    const small = Array.from({ length: 60 }, (_, index) => large.subarray(index, index + 10));
    const startMs = Date.now();
    const replies = await Promise.all([
      post(client, large, 'backlog'),
      post(client, large, 'backlog'),
      ...small.map((frame) => post(client, frame)),
    ]);
    const seconds = (Date.now() - startMs) / 1000;
    expect(new Set(replies.map(({ kind }) => kind))).toEqual(new Set(['answer']));
    expect(bodies.filter((arrived) => arrived.equals(large))).toHaveLength(2);
    expect(bodies).toHaveLength(62);
    // Nothing was saved up; heads of the last bodies, eight connections a traffic, are still owed.
    expect(proxy.bytesUp).toBeLessThan(50_000 * seconds + 16 * 2000);
    expect(proxy.bytesUp).toBeGreaterThan(50_000 * seconds * 0.6);
  });
});

describe('a body that waits for its turn', () => {
  const slow = { config: { bytesPerSecondMax: 20_000 } };

  test('is not cut off by the request limit, which it exceeds by far', async () => {
    const { url } = await startTinyHub(workspace);
    const client = connectTo(workspace, url, { ...slow, requestTimeoutMs: 400 });
    // Eight in turns: each waits for seven others between two of its parts.
    const replies = Array.from({ length: 8 }, () => post(client, body(6000)));
    const kinds = (await Promise.all(replies)).map(({ kind }) => kind);
    expect(kinds).toEqual(Array(8).fill('answer'));
  });

  test('does not wait any more once the hub has answered', async () => {
    const { url } = await startTinyHub(workspace, {
      handle: async (_request, response) => sendText(response, 503, 'busy\n'),
    });
    const client = connectTo(workspace, url, slow);
    const startMs = Date.now();
    expect(await post(client, body(200_000))).toMatchObject({ kind: 'busy' });
    expect(Date.now() - startMs).toBeLessThan(5000);
    expect(client.linkBytes.up).toBeLessThan(20_000);
    expect(await post(client, body(100))).toMatchObject({ kind: 'busy' });
  });

  test('is given up with the signal, before it began and in the middle', async () => {
    const { url, proxy } = await startTinyHub(workspace);
    const client = connectTo(workspace, url, slow);
    const giving = new AbortController();
    const replies = [1, 2].map(() => post(client, body(200_000), 'backlog', giving.signal));
    await until('the first part', 5000, () => proxy.bytesUp > 1000);
    giving.abort();
    expect(await Promise.all(replies)).toEqual([
      expect.objectContaining({ kind: 'unreachable' }),
      expect.objectContaining({ kind: 'unreachable' }),
    ]);
    expect(await post(client, body(100))).toMatchObject({ kind: 'answer' });
  });

  test('is unreachable when the link breaks, and the next one goes through', async () => {
    const { url, proxy } = await startTinyHub(workspace);
    const client = connectTo(workspace, url, slow);
    proxy.cutAfterBytes(3000);
    expect(await post(client, body(200_000))).toMatchObject({ kind: 'unreachable' });
    expect(await post(client, body(100))).toMatchObject({ kind: 'answer' });
  });
});

test('a hub that does not answer in time is unreachable', async () => {
  const { url, proxy } = await startTinyHub(workspace);
  proxy.blackhole();
  for (const config of [{}, { bytesPerSecondMax: 100_000 }]) {
    const client = connectTo(workspace, url, { config, requestTimeoutMs: 300 });
    expect(await post(client, body(1000))).toMatchObject({
      kind: 'unreachable',
      message: 'the hub did nothing for 300 ms',
    });
  }
});

test('live samples find a connection while all of those for backlog are busy', async () => {
  const held = Promise.withResolvers<void>();
  const { url } = await startTinyHub(workspace, {
    async handle(request, response) {
      const bytes = Buffer.concat(await request.toArray()).length;
      if (bytes > 100) await held.promise;
      sendText(response, 503, 'busy\n');
    },
  });
  const client = connectTo(workspace, url);
  const backlog = Array.from({ length: 20 }, () => post(client, body(200), 'backlog'));
  expect(await post(client, body(100))).toMatchObject({ kind: 'busy' });
  held.resolve();
  await Promise.all(backlog);
});

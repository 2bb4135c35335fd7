import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HubClient } from '../../agent/ship/hub-client.ts';
import { systemClock } from '../../base/clock.ts';
import { Workspace } from '../tools/workspace.ts';
import { connectTo, startTinyHub } from './link-fixture.ts';

const pem = (name: string) =>
  readFileSync(new URL(`../fixtures/loopback.${name}`, import.meta.url), 'utf8');
const tls = { certPem: pem('crt'), keyPem: pem('key') };

const LIMIT = 20_000;
const MINUTE_MS = 60_000;
const LIVE_EVERY_MS = 3000;
const LIVE_BYTES = 1500;
const BACKLOG_BYTES = 200_000;

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('link-limit');
});
afterEach(() => workspace.close());

/** Sends a live batch every few seconds; resolves with how long each took to be answered. */
async function sendLive(client: HubClient, signal: AbortSignal): Promise<number[]> {
  const answeredInMs: number[] = [];
  while (!signal.aborted) {
    const startMs = performance.now();
    const reply = await client.postBatch(Buffer.alloc(LIVE_BYTES), signal, 'live');
    if (signal.aborted) break;
    expect(reply.kind).toBe('answer');
    answeredInMs.push(performance.now() - startMs);
    await systemClock.sleep(LIVE_EVERY_MS, signal);
  }
  return answeredInMs;
}

async function sendBacklog(client: HubClient, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const reply = await client.postBatch(Buffer.alloc(BACKLOG_BYTES), signal, 'backlog');
    if (!signal.aborted) expect(reply.kind).toBe('answer');
  }
}

test.each([
  ['http', {}],
  ['https', { tls }],
])(
  '20 kB/s over %s hold for a minute, with live samples on time and backlog in the rest',
  async (_scheme, options) => {
    const { url, proxy, bodies } = await startTinyHub(workspace, options);
    // A network like the one across the border.
    proxy.setDelay(100);
    const config = { bytesPerSecondMax: LIMIT };
    const client = connectTo(workspace, url, { config, caPem: tls.certPem });
    const ending = new AbortController();
    const { signal } = ending;
    const backlog = [sendBacklog(client, signal), sendBacklog(client, signal)];
    const live = sendLive(client, signal);
    const startMs = performance.now();
    await systemClock.sleep(MINUTE_MS);
    const perSecond = (proxy.bytesUp / (performance.now() - startMs)) * 1000;
    ending.abort();
    await Promise.all(backlog);
    const answeredInMs = await live;
    const large = bodies.filter(({ length }) => length === BACKLOG_BYTES).length;
    console.log({
      bytesPerSecond: Math.round(perSecond),
      liveAnswered: answeredInMs.length,
      slowestMs: Math.round(Math.max(...answeredInMs)),
      backlogBodies: large,
    });
    expect(Math.abs(perSecond - LIMIT) / LIMIT).toBeLessThan(0.05);
    expect(answeredInMs.length).toBeGreaterThanOrEqual(15);
    expect(Math.max(...answeredInMs)).toBeLessThan(2000);
    // A live batch every three seconds takes a tenth: backlog gets what it leaves.
    expect(large).toBeGreaterThanOrEqual(4);
  },
);

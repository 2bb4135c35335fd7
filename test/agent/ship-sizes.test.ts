import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  FickleLink,
  HastyClock,
  type HubOptions,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  waiting,
} from './ship-fixture.ts';

const PATIENCE_MS = 10_000;

let workspace: Workspace;
let destination: RecordingDestination;
let hub: RunningHub;
let link: FickleLink;
let agent: RunningAgent;
const clock = new HastyClock();

beforeEach(() => {
  workspace = new Workspace('ship-sizes');
  destination = new RecordingDestination();
});
afterEach(async () => {
  await agent.end();
  await link.client.close();
  await hub.end();
  await workspace.close();
});

async function start(limits: HubOptions = {}, url?: (hub: string) => Promise<string>) {
  hub = await startHub(workspace.subfolder('hub'), destination.post, limits);
  link = new FickleLink(connect((await url?.(hub.url)) ?? hub.url, clock));
  agent = startAgent(workspace.subfolder('agent'), link, clock, 'sizes', { samplesMax: 5000 });
}

/** Samples of one series that do not compress. */
function noise(count: number, from: number) {
  return Array.from({ length: count }, (_, n) => {
    return ['up', from + n + 1, Math.imul(from + n + 1, 0x9e3779b1) >>> 0] as const;
  });
}

const delivered = () => until('all to be answered for', PATIENCE_MS, () => waiting(agent) === 0);

const frames = (bytesMin: number) => link.frameBytes.filter((bytes) => bytes > bytesMin);

describe('a request of a sender that is larger than the hub takes', () => {
  test('is cut, in order, and what is behind it goes on', async () => {
    await start({ batchBytesMax: 6000 });
    agent.append('', noise(5000, 0));
    agent.append('', noise(10, 5000));
    await delivered();
    const timestamps = destination.stored.map((line) => Number(line.split('@').at(-1)));
    expect(timestamps).toEqual(Array.from({ length: 5010 }, (_, n) => n + 1));
    // Whole, then as a part or two: the size that was refused is remembered.
    expect(agent.shipper.stats.replies.get('too_large')).toBeLessThanOrEqual(4);
    expect(frames(6000).length).toBeLessThanOrEqual(4);
    // Nor does the next one cross whole.
    const before = frames(6000).length;
    for (let at = 0; at < 5; at++) agent.append('', noise(1000, 6000 + at * 1000));
    await delivered();
    expect(frames(6000)).toHaveLength(before);
  });

  test('is cut likewise when a proxy refuses it, with a page of its own', async () => {
    const BYTES_MAX = 4000;
    await start({}, async (target) => {
      const proxy = createServer(async (request, response) => {
        const body = Buffer.concat(await request.toArray());
        if (body.length > BYTES_MAX) {
          response.writeHead(413, { connection: 'close' }).end('<html>413</html>');
          return;
        }
        const authorization = request.headers.authorization!;
        const method = request.method!;
        const sent = method === 'POST' ? { body } : {};
        const answer = await fetch(target + request.url, {
          method,
          headers: { authorization },
          ...sent,
        });
        response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      workspace.onClose(() => {
        proxy.closeAllConnections();
        proxy.close();
      });
      return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    });
    for (let at = 0; at < 3; at++) agent.append('', noise(2000, at * 2000));
    await delivered();
    expect(destination.stored).toHaveLength(6000);
  });
});

test('a batch is as large as crosses the link in some seconds', async () => {
  await start();
  agent.append('', noise(500, 0));
  await delivered();
  const before = link.frameBytes.length;
  link.bytesMax = 4000;
  for (let at = 1; at <= 8; at++) agent.append('', noise(500, at * 500));
  await delivered();
  const sizes = link.frameBytes.slice(before);
  expect(Math.max(...sizes)).toBeLessThan(2 * 4000);
  expect(sizes.filter((bytes) => bytes > 1500).length).toBeGreaterThan(4);
});

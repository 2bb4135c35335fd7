import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  FastClock,
  FickleLink,
  type HubOptions,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  waiting,
} from './ship-fixture.ts';

const PATIENCE_MS = 10_000;
const HEARTBEAT_BYTES = 50;

let workspace: Workspace;
let destination: RecordingDestination;
let hub: RunningHub;
let link: FickleLink;
let agent: RunningAgent;
const clock = new FastClock();

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
  hub = await startHub(workspace.subfolder('hub'), destination.post, limits, 'hub', clock);
  link = new FickleLink(connect((await url?.(hub.url)) ?? hub.url, clock));
  agent = startAgent(workspace.subfolder('agent'), link, clock, 'sizes', { samplesMax: 2500 });
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
    await start({ batchBytesMax: 3000 });
    agent.append('', noise(2500, 0));
    agent.append('', noise(10, 2500));
    await delivered();
    const timestamps = destination.stored.map((line) => Number(line.split('@').at(-1)));
    expect(timestamps).toEqual(Array.from({ length: 2510 }, (_, n) => n + 1));
    // Whole, then the first of its parts: the sizes that were refused are remembered.
    expect(agent.shipper.stats.replies.get('too_large')).toBe(2);
    expect(frames(3000)).toHaveLength(2);
    // Nor does the next one cross whole.
    for (let at = 0; at < 5; at++) agent.append('', noise(500, 3000 + at * 500));
    await delivered();
    expect(frames(3000)).toHaveLength(2);
    // One entry of the dictionary has crossed as well, and was not what made them large.
    const before = frames(HEARTBEAT_BYTES).length;
    const names = Array.from({ length: 100 }, (_, n) => `${n}_of_${'many_'.repeat(8)}series`);
    agent.append(
      '',
      names.map((name, n) => [name, 10_000 + n, n]),
    );
    await delivered();
    expect(frames(HEARTBEAT_BYTES).length - before).toBeLessThanOrEqual(2);
  });

  test('is cut likewise when a proxy refuses it, with a page of its own', async () => {
    const BYTES_MAX = 2000;
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
    for (let at = 0; at < 3; at++) agent.append('', noise(1000, at * 1000));
    await delivered();
    expect(destination.stored).toHaveLength(3000);
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

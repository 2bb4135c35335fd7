import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { body } from '../agent/ingest-fixture.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { startChain } from './chain.ts';

const STOP_MS_MAX = 15_000;
const TEST_MS_MAX = 120_000;

let workspace: Workspace;

beforeEach(() => {
  workspace = new Workspace('stop');
});
afterEach(() => workspace.close());

/** A destination that takes requests and never answers; resolves with its URL. */
async function startSilence(onRequest: () => void): Promise<string> {
  const server = createServer(onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  workspace.onClose(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Milliseconds from SIGTERM until no such process is there any more. */
async function stopMs({ id }: { id: number }): Promise<number> {
  const beganMs = performance.now();
  process.kill(id, 'SIGTERM');
  await until('the process to be gone', 2 * STOP_MS_MAX, () => {
    try {
      return !process.kill(id, 0);
    } catch {
      return true;
    }
  });
  return performance.now() - beganMs;
}

test('agent and hub are gone within 15 s, whatever is under way', {
  timeout: TEST_MS_MAX,
}, async () => {
  let requests = 0;
  const url = await startSilence(() => requests++);
  const { agent, hub, writeUrl } = await startChain(workspace, {
    destination: { kind: 'generic', url },
  });
  const content = body([...label('__name__', 'up'), ...sample(Date.now(), 1n)]);
  expect((await fetch(writeUrl, { method: 'POST', body: content })).status).toBe(204);
  await until('the destination to be asked', STOP_MS_MAX, () => requests > 0);
  const tookMs = await Promise.all([stopMs(agent.process), stopMs(hub.process)]);
  // They have used the time that they had: a sample waited at both.
  for (const ms of tookMs) expect(ms).toBeGreaterThan(10_000);
  for (const ms of tookMs) expect(ms).toBeLessThan(STOP_MS_MAX);
});

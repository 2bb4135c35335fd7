import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { body } from '../agent/ingest-fixture.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { startCheckingDestination } from '../tools/checking-destination.ts';
import {
  brokenPromise,
  type Promised,
  readTrace,
  type SystemCall,
  tracedTo,
} from '../tools/system-calls.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { startAgentProcess, startHubProcess, writeToken } from './starferry.ts';

const REQUESTS = 3;
/** Starting both programs under strace. */
const START_MS_MAX = 120_000;
const ANSWER_MS_MAX = 20_000;
const T0 = Date.UTC(2026, 0, 1);

let workspace: Workspace;
let agentCalls: SystemCall[];
let hubCalls: SystemCall[];
let bufferLog: string;
let recordLog: string;

/**
 * Both real programs under strace. The agent takes requests, one by one, each with a series of its
 * own; the destination refuses all of them, and says which.
 */
beforeAll(async () => {
  workspace = new Workspace('answer-after-sync');
  const traceOf = (name: string): string => join(workspace.folder, `${name}.trace`);
  const destination = await startCheckingDestination({
    refuse: (_tenant, series) => `out of bounds: ${series}`,
  });
  workspace.onClose(() => destination.close());
  const tokenFile = writeToken(workspace, 'agent');
  const hub = await startHubProcess(workspace, {
    name: 'hub',
    agents: [{ id: 'agent', tokenFile, tenants: ['overseas'] }],
    destination: { kind: 'generic', url: destination.url },
    runBy: await tracedTo(traceOf('hub')),
  });
  const agent = await startAgentProcess(workspace, {
    id: 'agent',
    tokenFile,
    hubUrl: hub.url,
    settings: { batch: { max_delay: '100ms' } },
    runBy: await tracedTo(traceOf('agent')),
  });
  for (let number = 0; number < REQUESTS; number++) {
    const content = body([...label('__name__', marker(number)), ...sample(T0, 1n)]);
    const answer = await fetch(`${agent.url}/api/v1/write`, { method: 'POST', body: content });
    expect(answer.status).toBe(204);
    await until('the answer of the hub', ANSWER_MS_MAX, async () => (await waiting(agent)) === 0);
  }
  await agent.process.kill();
  await hub.process.kill();
  agentCalls = await readTrace(traceOf('agent'));
  hubCalls = await readTrace(traceOf('hub'));
  bufferLog = join(agent.dataFolder, 'buffer.db-wal');
  recordLog = join(hub.dataFolder, 'refused.db-wal');
}, START_MS_MAX);
afterAll(() => workspace.close());

async function waiting({ url }: { url: string }): Promise<number> {
  const status = await (await fetch(`${url}/api/v1/status`)).json();
  const { waitingSamples } = status as { waitingSamples: Record<string, number> };
  return Object.values(waitingSamples).reduce((sum, samples) => sum + samples, 0);
}

function marker(number: number): string {
  return `series_of_request_${number}_`;
}

const numbers = Array.from({ length: REQUESTS }, (_, number) => number);

function promiseOfAgent(number: number): Promised {
  const request = 'POST /api/v1/write';
  return { marker: marker(number), file: bufferLog, request, answer: 'HTTP/1.1 204' };
}

function promiseOfHub(number: number): Promised {
  const request = 'POST /v1/batch';
  return { marker: marker(number), file: recordLog, request, answer: 'HTTP/1.1 200' };
}

describe('a 2xx of the agent', () => {
  test('comes after the sync of what the request brought, and not before', () => {
    const broken = numbers.map((number) => brokenPromise(agentCalls, promiseOfAgent(number)));
    expect(broken).toEqual(numbers.map(() => undefined));
  });

  test('would be found out without the sync, or before it', () => {
    const promise = promiseOfAgent(1);
    const isSync = ({ name }: SystemCall): boolean => name === 'fdatasync' || name === 'fsync';
    const unsynced = agentCalls.filter((call) => !isSync(call));
    expect(brokenPromise(unsynced, promise)).toContain('was synced');
    const failing = agentCalls.map((call) => (isSync(call) ? { ...call, result: '-1 EIO' } : call));
    expect(brokenPromise(failing, promise)).toContain('was synced');
    const stored = agentCalls.find(
      ({ file, args }) => file === bufferLog && args.includes(marker(1)),
    )!;
    const early = { beganAt: stored.beganAt - 0.5, endedAt: stored.beganAt - 0.5 };
    const hasty = agentCalls.map((call) =>
      call.args.includes(promise.answer) && call.beganAt > stored.endedAt
        ? { ...call, ...early }
        : call,
    );
    expect(brokenPromise(hasty, promise)).toContain('was written');
  });
});

describe('a 200 of the hub', () => {
  test('comes after the sync of the record of what the destination has refused', () => {
    const broken = numbers.map((number) => brokenPromise(hubCalls, promiseOfHub(number)));
    expect(broken).toEqual(numbers.map(() => undefined));
  });
});

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { body } from '../agent/ingest-fixture.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import {
  brokenPromise,
  type Promised,
  readTrace,
  type SystemCall,
  tracedTo,
} from '../tools/system-calls.ts';
import { Workspace } from '../tools/workspace.ts';
import { startAgentProcess, writeToken } from './starferry.ts';

const REQUESTS = 5;
const T0 = Date.UTC(2026, 0, 1);

let workspace: Workspace;
let calls: SystemCall[];
let wal: string;

/** The real program under strace takes requests, one by one, each with a series of its own. */
beforeAll(async () => {
  workspace = new Workspace('answer-after-sync');
  const trace = join(workspace.folder, 'trace');
  const agent = await startAgentProcess(workspace, {
    id: 'agent',
    tokenFile: writeToken(workspace, 'agent'),
    hubUrl: 'http://127.0.0.1:1',
    runBy: await tracedTo(trace),
  });
  for (let number = 0; number < REQUESTS; number++) {
    const content = body([...label('__name__', marker(number)), ...sample(T0, 1n)]);
    const answer = await fetch(`${agent.url}/api/v1/write`, { method: 'POST', body: content });
    expect(answer.status).toBe(204);
  }
  await agent.process.kill();
  calls = await readTrace(trace);
  wal = join(agent.dataFolder, 'buffer.db-wal');
});
afterAll(() => workspace.close());

function marker(number: number): string {
  return `series_of_request_${number}_`;
}

function promise(number: number): Promised {
  const request = 'POST /api/v1/write';
  return { marker: marker(number), file: wal, request, answer: 'HTTP/1.1 204' };
}

describe('a 2xx of the agent', () => {
  test('comes after the sync of what the request brought, and not before', () => {
    const broken = Array.from({ length: REQUESTS }, (_, at) => brokenPromise(calls, promise(at)));
    expect(broken).toEqual(Array.from({ length: REQUESTS }, () => undefined));
  });

  test('would be found out without the sync, or before it', () => {
    const isSync = ({ name }: SystemCall): boolean => name === 'fdatasync' || name === 'fsync';
    const unsynced = calls.filter((call) => !isSync(call));
    expect(brokenPromise(unsynced, promise(1))).toContain('before');
    const failing = calls.map((call) => (isSync(call) ? { ...call, result: '-1 EIO' } : call));
    expect(brokenPromise(failing, promise(1))).toContain('before');
    const stored = calls.find((call) => call.file === wal && call.args.includes(marker(1)))!;
    const early = { beganAt: stored.beganAt - 0.5, endedAt: stored.beganAt - 0.5 };
    const hasty = calls.map((call) =>
      call.args.includes('HTTP/1.1 204') && call.beganAt > stored.endedAt
        ? { ...call, ...early }
        : call,
    );
    expect(brokenPromise(hasty, promise(1))).toContain('before');
  });
});

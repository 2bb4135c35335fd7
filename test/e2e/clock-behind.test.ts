import { afterEach, beforeEach, expect, test } from 'vitest';
import { body } from '../agent/ingest-fixture.ts';
import { setClock, shiftableClock } from '../faults/clock-shift.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { startCheckingDestination } from '../tools/checking-destination.ts';
import { freePort } from '../tools/ports.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { startChain } from './chain.ts';
import { type StarferryProcess, startAgentProcess, writeToken } from './starferry.ts';

const MS_MAX = 20_000;
const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

let workspace: Workspace;

beforeEach(() => {
  workspace = new Workspace('clock-behind');
});
afterEach(() => workspace.close());

async function send({ url }: StarferryProcess, timestamp: number): Promise<number> {
  const content = body([...label('__name__', 'up'), ...sample(timestamp, 1n)]);
  return (await fetch(`${url}/api/v1/write`, { method: 'POST', body: content })).status;
}

async function statusOfClock({
  url,
}: StarferryProcess): Promise<{ offsetSeconds: number | null; isConfirmed: boolean }> {
  const status = await (await fetch(`${url}/api/v1/status`)).json();
  return (status as { clock: Awaited<ReturnType<typeof statusOfClock>> }).clock;
}

/** Until the agent knows that it is behind by about so much. */
async function untilBehindBy(agent: StarferryProcess, ms: number): Promise<void> {
  await until('the hub to be heard', MS_MAX, async () => {
    const { offsetSeconds } = await statusOfClock(agent);
    return offsetSeconds !== null && Math.abs(offsetSeconds - ms / 1000) < 30;
  });
}

test('an agent that starts in the past takes what is right, and refuses the future once it heard the hub', async () => {
  const destination = await startCheckingDestination();
  workspace.onClose(() => destination.close());
  const { agent, hub } = await startChain(workspace, {
    destination: { kind: 'generic', url: destination.url },
    agentSettings: { batch: { max_delay: '100ms' } },
    // From its very first look at the clock, and nothing was stored before.
    agent: { environment: ({ folder }) => shiftableClock(folder, -YEAR_MS) },
  });
  expect(await send(agent, Date.now())).toBe(204);
  await untilBehindBy(agent, YEAR_MS);
  expect(await send(agent, Date.now() + 1000)).toBe(204);
  expect(await send(agent, Date.now() + HOUR_MS)).toBe(400);
  expect(await statusOfClock(agent)).toMatchObject({ isConfirmed: false });
  const metrics = await (await fetch(`${agent.url}/metrics`)).text();
  expect(metrics).toMatch(/^starferry_agent_clock_offset_seconds 3153\d{4}\.?\d*$/m);
  expect(metrics).toContain('starferry_agent_clock_confirmed 0');
  setClock(agent, -HOUR_MS);
  await untilBehindBy(agent, HOUR_MS);
  expect(await send(agent, Date.now())).toBe(204);
  await until('the future to be refused again', MS_MAX, async () => {
    return (await send(agent, Date.now() + HOUR_MS)) === 400;
  });
  expect(await send(agent, Date.now())).toBe(204);
  // All threads of a program log under one name.
  await agent.process.waitForLog('the clock of this machine is not that of the hub', MS_MAX);
  for (const [program, { process }] of Object.entries({ agent, hub })) {
    const lines = process.log().trim().split('\n');
    const names = new Set(lines.map((line) => (JSON.parse(line) as { name: string }).name));
    expect([...names]).toEqual([`starferry-${program}`]);
  }
});

test('an agent that starts in the past while the hub is away refuses nothing', async () => {
  const agent = await startAgentProcess(workspace, {
    id: 'agent-one',
    tokenFile: writeToken(workspace, 'agent-one'),
    hubUrl: `http://127.0.0.1:${await freePort()}`,
    environment: ({ folder }) => shiftableClock(folder, -YEAR_MS),
  });
  for (let second = 0; second < 3; second++) {
    expect(await send(agent, Date.now() + second * 1000)).toBe(204);
  }
  expect(await statusOfClock(agent)).toEqual({ offsetSeconds: null, isConfirmed: false });
});

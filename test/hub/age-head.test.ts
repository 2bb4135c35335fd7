import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CortexDestination } from '../tools/cortex-destination.ts';
import { Workspace } from '../tools/workspace.ts';
import { startCortexHub } from './cortex-hub.ts';
import { AGENT, AgentDouble, type RunningReceiver, type Seen, seen } from './receive-fixture.ts';
import type { InstantClock } from './write-fixture.ts';

const HOUR_MS = 3_600_000;
const TENANT = AGENT.tenants[0]!;
/** Enough to have some on each of the four lanes. */
const SERIES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

let workspace: Workspace;
let clock: InstantClock;
let cortex: CortexDestination;
let hub: RunningReceiver;
let agent: AgentDouble;
let ids: number[];
let now: number;

beforeEach(async () => {
  workspace = new Workspace('age-head');
  ({ hub, cortex, clock } = await startCortexHub(workspace));
  now = clock.now();
  agent = new AgentDouble(1n);
  ids = SERIES.map((name) => agent.series(name));
});
afterEach(() => workspace.close());

/** Sends a live batch or a pack; sequences and positions count from 0. */
async function send(
  lane: 'live' | 'pack',
  sequence: number,
  rows: readonly (readonly [number, number])[],
): Promise<Extract<Seen, { status: 200 }>['answer']> {
  const positions = [sequence + 1, sequence + 1] as const;
  const stream = lane === 'live' ? 7n : 8n;
  const reply = await hub.receiver.receive(
    AGENT,
    agent[lane](stream, sequence, rows, positions),
    '',
  );
  const opened = seen(reply);
  if (!('answer' in opened)) throw new Error(JSON.stringify(opened));
  return opened.answer;
}

const at = (timestamp: number) => ids.map((id) => [id, timestamp] as const);

describe.each(['live', 'pack'] as const)('the age bound after a %s batch', (lane) => {
  test('is what the refusal says, where others have moved the head of the tenant', async () => {
    cortex.rules.moveHead(TENANT, now);
    const answer = await send(lane, 0, at(now - 3 * HOUR_MS));
    expect(answer.settlement.accepted).toBe(0);
    expect(answer.oldestAcceptedMs).toBe(now - HOUR_MS);
  });

  test('is not moved by a sample that was refused', async () => {
    await send(lane, 0, at(now));
    await send(lane, 1, [[ids[0]!, now - 3 * HOUR_MS]]);
    const next = [[ids[0]!, now + 8760 * HOUR_MS] as const, ...at(now + 1000).slice(1)];
    const answer = await send(lane, 2, next);
    expect(answer.settlement.accepted).toBeGreaterThan(0);
    expect([...answer.settlement.refused.keys()]).toEqual(['too_new']);
    expect(answer.oldestAcceptedMs).toBe(now + 1000 - HOUR_MS);
  });

  test('does not count a batch of which nothing was taken as news, and a refused one neither', async () => {
    await send(lane, 0, at(now));
    await send(lane, 1, at(now + 8760 * HOUR_MS));
    expect(hub.newest).toEqual([`sg ${now}`, 'sg -Infinity']);
  });
});

test('what is taken from one lane counts, whatever becomes of the rest of the batch', async () => {
  cortex.rules.moveHead(TENANT, now - 2 * HOUR_MS);
  await send('live', 0, [[ids[0]!, now - 4 * HOUR_MS], ...at(now - 90 * 60_000).slice(1)]);
  const answer = await send('live', 1, at(now - 89 * 60_000));
  expect(answer.oldestAcceptedMs).toBe(now - 89 * 60_000 - HOUR_MS);
});

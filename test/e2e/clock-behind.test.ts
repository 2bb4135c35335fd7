import { afterEach, beforeEach, expect, test } from 'vitest';
import { body } from '../agent/ingest-fixture.ts';
import { setClock, shiftableClock } from '../faults/clock-shift.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { startCheckingDestination } from '../tools/checking-destination.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Chain, startChain } from './chain.ts';

const MS_MAX = 20_000;
const HOUR_MS = 3_600_000;

let workspace: Workspace;
let chain: Chain;

beforeEach(async () => {
  workspace = new Workspace('clock-behind');
  const destination = await startCheckingDestination();
  workspace.onClose(() => destination.close());
  chain = await startChain(workspace, {
    destination: { kind: 'generic', url: destination.url },
    agentSettings: { batch: { max_delay: '100ms' } },
    agent: { environment: ({ folder }) => shiftableClock(folder) },
  });
});
afterEach(() => workspace.close());

async function send(timestamp: number): Promise<number> {
  const content = body([...label('__name__', 'up'), ...sample(timestamp, 1n)]);
  return (await fetch(chain.writeUrl, { method: 'POST', body: content })).status;
}

test('an agent whose clock is an hour behind goes by the hub’s, and refuses the future only', async () => {
  expect(await send(Date.now() + HOUR_MS)).toBe(400);
  setClock(chain.agent, -HOUR_MS);
  await until('a sample of now to be taken', MS_MAX, async () => (await send(Date.now())) === 204);
  expect(await send(Date.now() + HOUR_MS)).toBe(400);
});

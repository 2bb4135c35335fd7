import { afterEach, beforeEach, expect, test } from 'vitest';
import { body } from '../agent/ingest-fixture.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { readMetric } from '../recovery/read-metric.ts';
import { type CortexDestination, startCortexDestination } from '../tools/cortex-destination.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Chain, chainTenant, startChain } from './chain.ts';

const MS_MAX = 20_000;
const HOUR_MS = 3_600_000;
const SAMPLES = 20;

let workspace: Workspace;
let cortex: CortexDestination;
let chain: Chain;

beforeEach(async () => {
  workspace = new Workspace('head-moved');
  cortex = await startCortexDestination();
  workspace.onClose(() => cortex.close());
  chain = await startChain(workspace, { destination: { kind: 'cortex', url: cortex.url } });
});
afterEach(() => workspace.close());

/** Writes old samples, each of a series of its own. */
async function sendOld(round: number): Promise<void> {
  for (let n = 0; n < SAMPLES; n++) {
    const at = Date.now() - 3 * HOUR_MS + round * 1000 + n;
    const labels = [...label('__name__', 'late'), ...label('n', `${round} ${n}`)];
    const content = body([...labels, ...sample(at, 1n)]);
    expect((await fetch(chain.writeUrl, { method: 'POST', body: content })).status).toBe(204);
  }
}

const metric = (name: string) => readMetric(chain.agent.url, `starferry_agent_${name}`);

test('of a tenant whose head others have moved, the first samples are refused, and no more are sent', async () => {
  cortex.rules.moveHead(chainTenant, Date.now());
  await sendOld(0);
  const isOver = async () =>
    (await metric('buffer_samples')) === (await metric('buffer_parked_samples'));
  await until('the first samples to be refused or parked', MS_MAX, isOver);
  const parkedAtFirst = await metric('buffer_parked_samples');
  const requests = cortex.requests.length;
  expect(requests).toBeGreaterThan(0);
  await sendOld(1);
  await sendOld(2);
  const parked = parkedAtFirst + 2 * SAMPLES;
  const isParked = async () => (await metric('buffer_parked_samples')) === parked;
  await until('the rest to be parked', MS_MAX, isParked);
  expect(
    cortex.requests.slice(requests).filter(({ body: sent }) => sent.series.length > 0),
  ).toEqual([]);
});

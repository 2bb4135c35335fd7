import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { expectDelivered } from '../recovery/delivery-check.ts';
import { NumberedWriter } from '../recovery/numbered-writer.ts';
import { readMetric } from '../recovery/read-metric.ts';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Chain, startChain } from './chain.ts';

const STEP_MS_MAX = 30_000;
const QUOTA = 1_000_000;
/** As a tunnel of small packets may have it. */
const OVERHEAD = 2;
const ALMOST = QUOTA - 1000;
const HELD = 'starferry_agent_link_waiting_batches{traffic="live",reason="monthly_quota"}';

let workspace: Workspace;
let destination: CheckingDestination;
let chain: Chain;
beforeEach(async () => {
  workspace = new Workspace('link-limits');
  destination = await startCheckingDestination();
  workspace.onClose(() => destination.close());
  chain = await startChain(workspace, {
    destination: { kind: 'generic', url: destination.url },
    agentSettings: {
      batch: { max_delay: '100ms' },
      link: { max_bytes_per_second: '20kB', monthly_quota: `${QUOTA}`, overhead: OVERHEAD },
    },
  });
});
afterEach(() => workspace.close());

const metric = (name: string) => readMetric(chain.agent.url, name);
const emptied = () =>
  until('an empty buffer', STEP_MS_MAX, async () => {
    return (await metric('starferry_agent_buffer_samples')) === 0;
  });

test('an agent counts what it uses of a quota over stop and kill, and keeps what it may not send', async () => {
  const { agent, proxy, writeUrl } = chain;
  const usage = join(agent.dataFolder, 'link-usage.jsonl');
  const writer = new NumberedWriter(writeUrl, 'steady', 0);
  await writer.write(20);
  await emptied();
  await agent.process.stop();
  // In TCP; on top come the headers of small packets.
  const carried = proxy.bytesUp + proxy.bytesDown;
  expect(bytesIn(usage)).toBeGreaterThan(1.1 * OVERHEAD * carried);
  expect(bytesIn(usage)).toBeLessThan(2 * OVERHEAD * carried);

  writeFileSync(usage, almostUsedUp());
  await agent.start();
  await until('a batch that waits', STEP_MS_MAX, async () => {
    await writer.write(1);
    return (await metric(HELD)) > 0;
  });
  await until('what went before on disk', STEP_MS_MAX, () => bytesIn(usage) > ALMOST);
  expect(await metric('starferry_agent_buffer_samples')).toBeGreaterThan(0);
  await agent.process.kill();
  rmSync(usage);
  await agent.start();
  await emptied();
  await expectDelivered(destination, [writer]);
});

/** Bytes of the month that was used last. */
function bytesIn(usage: string): number {
  return existsSync(usage)
    ? JSON.parse(readFileSync(usage, 'utf8').trimEnd().split('\n').at(-1)!).bytes
    : 0;
}

/** This month, and the next one in case it begins meanwhile. */
function almostUsedUp(): string {
  return [0, 1]
    .map((next) => {
      const now = new Date();
      const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + next));
      return `${JSON.stringify({ period: month.toISOString().slice(0, 7), bytes: ALMOST })}\n`;
    })
    .join('');
}

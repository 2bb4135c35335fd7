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
} from './ship-fixture.ts';

const PATIENCE_MS = 5000;

let workspace: Workspace;
let clock: HastyClock;
let destination: RecordingDestination;
let hub: RunningHub;
let link: FickleLink;
let agent: RunningAgent;

beforeEach(() => {
  workspace = new Workspace('ship-tenants');
  clock = new HastyClock();
  destination = new RecordingDestination();
});
afterEach(async () => {
  await agent.end();
  await link.quiet();
  await link.client.close();
  await hub.end();
  await workspace.close();
});

/** A hub that takes two tenants from the agent, unless told otherwise. */
async function run(options: Parameters<typeof startAgent>[4] = {}): Promise<void> {
  hub = await startHub(workspace.subfolder('hub'), destination.post);
  link = new FickleLink(connect(hub.url, clock));
  agent = startAgent(workspace.subfolder('agent'), link, clock, 'agent', options);
}

async function restartHub(options: HubOptions): Promise<void> {
  await hub.end();
  await link.client.close();
  hub = await startHub(workspace.subfolder('hub'), destination.post, options);
  link.client = connect(hub.url, clock);
}

const kept = (tenant: string): number => agent.buffer.backlog.get(tenant) ?? 0;
const delivered = (tenant: string) =>
  until(`${tenant} to be answered for`, PATIENCE_MS, () => kept(tenant) === 0);
const refused = (times: number) =>
  until('a refusal', PATIENCE_MS, () => {
    return (agent.shipper.stats.replies.get('forbidden') ?? 0) >= times;
  });

describe('a tenant that is not the agent’s at the hub', () => {
  test.each(['oldest_first', 'live_first'] as const)(
    'does not hold up the others: %s',
    async (order) => {
      await run({ order });
      agent.append('foreign', [['up', 1, 1]]);
      await refused(1);
      for (let timestamp = 1; timestamp <= 20; timestamp++) {
        agent.append('second', [['up', timestamp, timestamp]]);
        agent.append('', [[`series_${timestamp}`, timestamp, timestamp]]);
        agent.append('foreign', [['up', timestamp + 1, timestamp]]);
        await delivered('second');
        await delivered('');
      }
      await refused(2);
      expect(kept('foreign')).toBe(21);
      expect(destination.stored).toHaveLength(40);
    },
  );

  test.each(['oldest_first', 'live_first'] as const)(
    'does not hold up the others with its backlog: %s',
    async (order) => {
      await run({ order, packing: { ageMinMs: 0, samplesMax: 5 } });
      link.fate = () => 'request lost';
      const tenants = ['foreign', 'second', ''];
      for (let timestamp = 1; timestamp <= 20; timestamp++) {
        for (const tenant of tenants) agent.append(tenant, [['up', timestamp, timestamp]]);
      }
      await until('packs', PATIENCE_MS, () =>
        tenants.every((one) => agent.buffer.packs(one).length),
      );
      link.fate = () => 'delivered';
      await delivered('second');
      await delivered('');
      await refused(2);
      expect(kept('foreign')).toBe(20);
      expect(agent.buffer.packs('foreign').length).toBeGreaterThan(0);
      expect(destination.stored).toHaveLength(40);
    },
  );

  test('is named loudly at both ends, with what to do', async () => {
    await run();
    agent.append('foreign', [['up', 1, 1]]);
    await refused(1);
    expect(agent.lines).toContainEqual(
      expect.objectContaining({
        level: 50,
        tenant: 'foreign',
        answer: '403 agent sg may not write into tenant foreign',
        msg: expect.stringContaining('add the tenant to those of the agent at the hub'),
      }),
    );
    expect(hub.lines).toContain('forbidden sg');
    expect(hub.events).toContain('sg tenant not allowed');
  });

  test('is tried again every five minutes and no more often', async () => {
    await run();
    const beganAtMs = clock.ms;
    agent.append('foreign', [['up', 1, 1]]);
    await refused(5);
    expect(clock.ms - beganAtMs).toBeGreaterThanOrEqual(4 * 300_000);
  });

  test('is kept, and delivered whole once the hub takes it', async () => {
    await run();
    agent.append('foreign', [['up', 1, 1]]);
    await refused(1);
    agent.append('foreign', [['up', 2, 2]]);
    await restartHub({ tenants: ['overseas', 'foreign'] });
    await delivered('foreign');
    expect(destination.stored).toEqual(['foreign {__name__="up"}@1', 'foreign {__name__="up"}@2']);
  });
});

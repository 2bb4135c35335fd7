import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Kind } from '../../agent/ship/exchange.ts';
import type { HubClient, HubReply } from '../../agent/ship/hub-client.ts';
import { type Batch, decodeBatch } from '../../proto/batch.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  HastyClock,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  waiting,
} from './ship-fixture.ts';

const PATIENCE_MS = 5000;
/** Longer than the agent remembers changes of the hub. */
const QUIET_MS = 3_600_000;

/** A balancer: every request goes to the hub whose turn it is. */
class BalancedLink extends UnmeasuredLink {
  readonly batches: Batch[] = [];
  clients: HubClient[];
  /** Instead of the next reply to a batch of samples. */
  scripted: HubReply | undefined;
  #turn = 0;

  constructor(clients: HubClient[]) {
    super();
    this.clients = clients;
  }

  get live() {
    return this.batches.filter((batch) => batch.lane === 'live');
  }

  async postBatch(frame: Uint8Array, signal: AbortSignal, kind: Kind): Promise<HubReply> {
    const batch = decodeBatch(decompressFrame(frame, 2 ** 26));
    this.batches.push(batch);
    const reply = batch.lane === 'live' ? this.scripted : undefined;
    if (reply !== undefined) this.scripted = undefined;
    return reply ?? (await this.#next().postBatch(frame, signal, kind));
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    return await this.#next().askPositions(signal);
  }

  #next(): HubClient {
    return this.clients[this.#turn++ % this.clients.length]!;
  }
}

/** Hasty, but the minutes in which the agent remembers a change of the hub take a while. */
class BriskClock extends HastyClock {
  override async sleep(ms: number): Promise<void> {
    await super.sleep(Math.min(ms, 100));
  }
}

let workspace: Workspace;
let clock: BriskClock;
let destination: RecordingDestination;
let hubs: RunningHub[];
let link: BalancedLink;
let agent: RunningAgent;

beforeEach(async () => {
  workspace = new Workspace('ship-hubs');
  clock = new BriskClock();
  destination = new RecordingDestination();
  hubs = [];
  for (const name of ['one', 'two']) {
    hubs.push(await startHub(workspace.subfolder(name), destination.post, {}, name));
  }
  link = new BalancedLink(hubs.map(({ url }) => connect(url, clock)));
  agent = startAgent(workspace.subfolder('agent'), link, clock, 'agent');
});
afterEach(async () => {
  await agent.end();
  for (const client of link.clients) await client.close();
  for (const hub of hubs) await hub.end();
  await workspace.close();
});

/** Appends one sample to each of two series, one of them new, and waits for the answer. */
async function deliver(from: number, to: number): Promise<string[]> {
  const expected: string[] = [];
  for (let round = from; round < to; round++) {
    agent.append('', [
      ['up', round, round],
      [`new_${round}`, round, round],
    ]);
    expected.push(
      `overseas {__name__="new_${round}"}@${round}`,
      `overseas {__name__="up"}@${round}`,
    );
    await until('the answer', PATIENCE_MS, () => waiting(agent) === 0);
  }
  return expected;
}

describe('two hubs that answer in turn behind one URL', () => {
  test('get every sample between them, under its own labels', async () => {
    const expected = await deliver(1, 30);
    expect([...new Set(destination.stored)].sort()).toEqual(expected.sort());
    expect(agent.shipper.stats.events.get('hub changed')).toBeGreaterThan(3);
  });

  test('get self-contained batches, one request each, while they take turns', async () => {
    await deliver(1, 30);
    const before = link.live.length;
    await deliver(30, 50);
    const batches = link.live.slice(before);
    expect(batches).toHaveLength(20);
    expect(batches.every(({ keyframe }) => keyframe !== undefined)).toBe(true);
  });

  test('get a stream again when only one of them is left', async () => {
    await deliver(1, 30);
    const [left, gone] = link.clients as [HubClient, HubClient];
    link.clients = [left];
    await gone.close();
    clock.ms += QUIET_MS;
    await deliver(30, 40);
    const before = link.live.length;
    await deliver(40, 50);
    const batches = link.live.slice(before);
    expect(batches.every(({ keyframe }) => keyframe === undefined)).toBe(true);
  });
});

test('a hub that cannot read the format says so, and the samples are encoded again', async () => {
  link.clients = [link.clients[0]!];
  await deliver(1, 2);
  const reply = await link.askPositions(AbortSignal.timeout(PATIENCE_MS));
  if (reply.kind !== 'state') throw new Error(reply.kind);
  link.scripted = { kind: 'unreadable_format', state: reply.state };
  const before = link.live.length;
  await deliver(2, 3);
  const [refused, taken] = link.live.slice(before);
  expect(refused?.sequence).toBe(1);
  expect(taken?.keyframe?.samplesFormat).toBe(Math.max(...reply.state.formats));
  expect(destination.stored).toHaveLength(4);
});

import { uncompress } from 'snappyjs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Destination } from '../../hub/write/destination.ts';
import type { Post, PostResult } from '../../hub/write/post.ts';
import { Workspace } from '../tools/workspace.ts';
import { type CortexHub, SENDER, startCortexHub } from './cortex-hub.ts';
import { AgentDouble, seen, startReceiver } from './receive-fixture.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

const TENANT = 'overseas';
const AGENTS = ['one', 'two'].map((id) => ({ id, tenants: [TENANT] }));
const HOUR_MS = 3_600_000;

let workspace: Workspace;
let all: CortexHub;
let now: number;
beforeEach(async () => {
  workspace = new Workspace('ha-clusters');
  all = await startCortexHub(workspace, { acceptHaSamples: true, haMaxClusters: 1 });
  now = all.clock.now();
});
afterEach(() => workspace.close());

/** Twenty series each of no cluster, of k1 and of k2, so that every lane has some of each. */
function startAgent(run: bigint, hub = all.hub) {
  const agent = new AgentDouble(run);
  const ids = Array.from({ length: 20 }, (_, n) => n).flatMap((n) =>
    [{}, { __replica__: 'a', cluster: 'k1' }, { __replica__: 'a', cluster: 'k2' }].map((labels) =>
      agent.series({ __name__: 'up', ...labels, instance: `i${run} ${n}` }),
    ),
  );
  let sequence = 0;
  /** Sends a sample of each series; resolves with what became of them. */
  const send = async (known: (typeof AGENTS)[number], timestamp: number) => {
    const rows = ids.map((id) => [id, timestamp] as const);
    const live = agent.live(7n, sequence, rows, [sequence + 1, sequence + 1]);
    sequence++;
    const reply = seen(await hub.receiver.receive(known, live, ''));
    if (!('answer' in reply)) throw new Error(JSON.stringify(reply));
    const { accepted, refused } = reply.answer.settlement;
    return { accepted, refused: [...refused] };
  };
  return { send };
}

const storedOf = (cluster: string) =>
  [...all.cortex.rules.stored(TENANT)]
    .filter(([series]) => series.includes(`cluster="${cluster}"`))
    .flatMap(([, points]) => points).length;

describe('a cluster over ha_max_clusters', () => {
  test('is given up into the record, while all others flow, and flows once the limit is raised', async () => {
    // Elected first: the limit refuses whoever comes later.
    await all.hub.receiver.receive({ id: 'first', tenants: [TENANT] }, first(), '');
    const [one, two] = [startAgent(1n), startAgent(2n)];
    const result = { accepted: 40, refused: [['ha_clusters_limit', 20]] };
    expect(await one.send(AGENTS[0]!, now)).toEqual(result);
    expect(await two.send(AGENTS[1]!, now)).toEqual(result);
    expect(all.clock.slept).toEqual([]);
    const kept = all.hub.refused.filter(({ reason }) => reason === 'ha_clusters_limit');
    expect(kept.reduce((sum, { refused }) => sum + refused, 0)).toBe(40);
    expect(all.hub.lines).toContain(`ha_clusters_limit ${TENANT} k2`);
    expect([storedOf('k1'), storedOf('k2')]).toEqual([41, 0]);

    all.cortex.rules.setLimits(TENANT, { haMaxClusters: 2 });
    expect(await one.send(AGENTS[0]!, now + 1000)).toEqual({ accepted: 60, refused: [] });
    expect([storedOf('k1'), storedOf('k2')]).toEqual([61, 20]);
  });
});

describe('a cluster that the destination cannot take now', () => {
  test('holds up no other series of its agent and tenant, within the requests in flight', async () => {
    const { cortex, clock } = all;
    cortex.rules.setLimits(TENANT, { haMaxClusters: 0 });
    let busy = 0;
    let busyMax = 0;
    let isOver = false;
    const sender = new Destination({ ...SENDER, url: cortex.url });
    workspace.onClose(() => sender.close());
    const post: Post = async (request) => {
      busyMax = Math.max(busyMax, ++busy);
      const text = Buffer.from(uncompress(request.body)).toString();
      const result: PostResult =
        text.includes('k2') && !isOver
          ? { kind: 'answer', status: 503, headers: {}, body: 'k2 is not taken now' }
          : await sender.post(request);
      busy--;
      return result;
    };
    const hub = startReceiver(workspace.subfolder('other'), post, {}, 'hub', clock);
    workspace.onClose(async () => hub.kill());
    const sending = startAgent(1n, hub).send(AGENTS[0]!, now);
    await expect.poll(() => storedOf('k1')).toBe(20);
    await expect.poll(() => cortex.rules.storedCount(TENANT)).toBe(40);
    expect(storedOf('k2')).toBe(0);
    isOver = true;
    expect(await sending).toEqual({ accepted: 60, refused: [] });
    expect(busyMax).toBe(4);
  });
});

/** Of an agent that has nothing but k1. */
function first(): Uint8Array {
  const agent = new AgentDouble(9n);
  const id = agent.series({ __name__: 'up', __replica__: 'a', cluster: 'k1', instance: 'first' });
  return agent.live(7n, 0, [[id, now - HOUR_MS / 2]], [1, 1]);
}

test('the line about a cluster too many names the cluster and the limit to raise', async () => {
  const copy = newDictionary();
  const id = appendSeries(copy, 'a', { __name__: 'up', __replica__: 'r-α', cluster: 'k-α' });
  const tools = rig('cortex', async () => ({
    kind: 'answer',
    status: 400,
    body: 'too many HA replicaGroups (limit: 3)',
    headers: {},
  }));
  const { signal } = new AbortController();
  const [request] = requestsOf(copy, columnsOf([[id, 1]]));
  await tools.deliver(request!, { cancel: signal, end: signal });
  const line = tools.lines.find(({ level }) => level === 'error');
  expect(line?.fields).toMatchObject({
    tenant: 'a',
    cluster: 'k-α',
    replica: 'r-α',
    answer: '400 too many HA replicaGroups (limit: 3)',
  });
  expect(line?.message).toContain('ha_max_clusters');
});

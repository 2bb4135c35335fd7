import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import type { Settlement } from '../../proto/settlement.ts';
import type { CortexLimits } from '../tools/cortex/limits.ts';
import { Workspace } from '../tools/workspace.ts';
import { type CortexHub, startCortexHub } from './cortex-hub.ts';
import { AgentDouble, seen } from './receive-fixture.ts';

const TENANT = 'overseas';
const MINUTE_MS = 60_000;
const SCRAPE_MS = 30_000;
/** b is scraped so long after a. */
const OFFSET_MS = 7000;
const HOURS_2 = 7_200_000;

let workspace: Workspace;
let all: CortexHub;
/** When the backlogs end. */
let now: number;

beforeEach(() => {
  workspace = new Workspace('replica-gaps');
});
afterEach(() => workspace.close());

async function start(windowMs: number, limits: Partial<CortexLimits> = {}): Promise<void> {
  const ha = { acceptHaSamples: true, outOfOrderWindowMs: windowMs };
  all = await startCortexHub(workspace, { ...ha, ...limits }, { outOfOrderTimeWindowMs: windowMs });
  now = all.clock.now();
}

/** The agent of one replica: three series of cluster k, and one without a cluster. */
class ReplicaAgent {
  readonly name: string;
  readonly #agent: AgentDouble;
  readonly #ids: number[];
  readonly #plain: number;
  #sequence = 0;

  constructor(name: string) {
    this.name = name;
    this.#agent = new AgentDouble(BigInt(name.charCodeAt(0)));
    this.#ids = [1, 2, 3].map((n) =>
      this.#agent.series({ __name__: 'up', __replica__: name, cluster: 'k', instance: `i${n}` }),
    );
    this.#plain = this.#agent.series({ __name__: 'plain', agent: name });
  }

  /** Sends a sample of each series of the cluster at each of these times; resolves once settled. */
  async send(times: readonly number[], { plain }: { plain?: number } = {}): Promise<Settlement> {
    const rows = times.flatMap((at) => this.#ids.map((id) => [id, at] as const));
    if (plain !== undefined) rows.push([this.#plain, plain]);
    const at = this.#sequence++;
    const batch = this.#agent.live(7n, at, rows, [at + 1, at + 1]);
    const known = { id: this.name, tenants: [TENANT] };
    const reply = seen(await all.hub.receiver.receive(known, batch, ''));
    if (!('answer' in reply)) throw new Error(JSON.stringify(reply));
    return reply.answer.settlement;
  }
}

const perMinutes = (minutes: number): number => (minutes * MINUTE_MS) / SCRAPE_MS;

/** Times of scrapes from `fromMin` to `toMin` minutes after the beginning, 50 minutes before now. */
function scrapes(fromMin: number, toMin: number, offsetMs = 0): number[] {
  const times: number[] = [];
  const begin = now - 50 * MINUTE_MS;
  const to = begin + toMin * MINUTE_MS;
  for (let at = begin + fromMin * MINUTE_MS + offsetMs; at < to; at += SCRAPE_MS) times.push(at);
  return times;
}

/** The times that each series of the cluster is stored with, which is the same for all. */
function storedTimes(): number[] {
  const series = [...all.cortex.rules.stored(TENANT)].filter(([name]) => name.includes('up'));
  const times = series.map(([name, points]) => {
    expect(name).not.toContain('__replica__');
    return points.map(({ timestamp }) => timestamp).sort((one, other) => one - other);
  });
  expect(times).toHaveLength(3);
  for (const other of times) expect(other).toEqual(times[0]);
  return times[0]!;
}

/** Requests of the cluster that came without the label of the replica. */
const unlabelled = () =>
  all.cortex.requests.filter(({ body }) =>
    body.series.some(
      ({ labels }) =>
        labels.some(({ name }) => name === 'cluster') &&
        !labels.some(({ name }) => name === '__replica__'),
    ),
  ).length;

/** Keeps a replica live until `done` is settled; it is never silent for long. */
async function whileLive<T>(agent: ReplicaAgent, done: Promise<T>): Promise<T> {
  let isDone = false;
  const ended = done.finally(() => {
    isDone = true;
  });
  let newest = now;
  while (!isDone) {
    const at = Math.max(all.clock.now(), newest + 1);
    newest = at;
    await agent.send([at]);
  }
  return await ended;
}

describe('the backlog of an HA pair, ten minutes of a and fifty of b', () => {
  test('leaves no gap where the window is open, although a is elected all the time', async () => {
    await start(HOURS_2);
    const [a, b] = [new ReplicaAgent('a'), new ReplicaAgent('b')];
    await a.send(scrapes(40, 50));
    const drained = (async () => {
      for (let from = 0; from < 50; from += 10) await b.send(scrapes(from, from + 10, OFFSET_MS));
    })();
    await whileLive(a, drained);
    const backlog = storedTimes().filter((at) => at < now);
    expect(backlog).toEqual([...scrapes(0, 40, OFFSET_MS), ...scrapes(40, 50)]);
    expect(unlabelled()).toBeGreaterThan(0);
    expect(all.hub.refused).toEqual([]);
  });

  test('leaves none without a window where b comes first: a waits until b has caught up', async () => {
    await start(0);
    const [a, b] = [new ReplicaAgent('a'), new ReplicaAgent('b')];
    await b.send(scrapes(0, 10, OFFSET_MS));
    const waiting = a.send(scrapes(40, 50), { plain: now });
    for (let from = 10; from < 50; from += 10) await b.send(scrapes(from, from + 10, OFFSET_MS));
    const settlement = await waiting;
    expect(settlement.accepted).toBe(1);
    expect(settlement.deduplicated).toBe(3 * perMinutes(10));
    expect(storedTimes()).toEqual(scrapes(0, 50, OFFSET_MS));
    expect(unlabelled()).toBe(0);
  });

  test('is counted and kept, not called deduplicated, where a was first and no window is open', async () => {
    await start(0);
    const [a, b] = [new ReplicaAgent('a'), new ReplicaAgent('b')];
    await a.send(scrapes(40, 50));
    const settlement = await whileLive(a, b.send(scrapes(0, 50, OFFSET_MS)));
    expect(settlement.deduplicated).toBe(3 * perMinutes(10));
    const kept = all.hub.refused.map(({ body }) => new WrittenSamples(body));
    expect(kept.reduce((sum, { count }) => sum + count, 0)).toBe(3 * perMinutes(40));
    for (const samples of kept) expect(samples.examples().join()).not.toContain('__replica__');
  });
});

test('the backlog of b waits for a to fall silent, and is then elected', async () => {
  await start(0, { haFailoverTimeoutMs: 40_000 });
  const [a, b] = [new ReplicaAgent('a'), new ReplicaAgent('b')];
  await a.send(scrapes(0, 10));
  const settlement = await b.send(scrapes(0, 50, OFFSET_MS), { plain: now });
  expect(settlement.refused.size).toBe(0);
  // What is ahead of a went unlabelled or by election; what a has as well is not there twice.
  const stored = storedTimes();
  expect(stored.filter((at) => at >= scrapes(10, 11, OFFSET_MS)[0]!)).toEqual(
    scrapes(10, 50, OFFSET_MS),
  );
  expect(all.hub.lines).toContain(`replica ${TENANT}`);
});

test('a live pair is deduplicated at once, request by request', async () => {
  await start(HOURS_2);
  const [a, b] = [new ReplicaAgent('a'), new ReplicaAgent('b')];
  for (let minute = 0; minute < 20; minute++) {
    const at = all.clock.now();
    await a.send([at, at + 15_000]);
    const settlement = await b.send([at + 7000, at + 22_000]);
    expect(settlement.deduplicated).toBe(6);
    await all.clock.sleep(30_000);
  }
  expect(all.clock.slept).toEqual(Array.from({ length: 20 }, () => 30_000));
  expect(unlabelled()).toBe(0);
});

test('a replica that is elected by another way is not waited for twice', async () => {
  await start(0, { haFailoverTimeoutMs: 60 * MINUTE_MS });
  const labels = { __name__: 'up', __replica__: 'elsewhere', cluster: 'k' };
  const elsewhere = () => {
    const named = Object.entries(labels).map(([name, value]) => ({ name, value }));
    const samples = [{ timestamp: all.clock.now(), bits: 0n }];
    all.cortex.rules.push(TENANT, {
      version: 1,
      series: [{ labels: named, samples, exemplars: [], histograms: [] }],
      metadata: [],
    });
  };
  const b = new ReplicaAgent('b');
  elsewhere();
  expect((await b.send([now])).deduplicated).toBe(3);
  // Once on each lane of its series.
  expect(all.clock.slept.length).toBeGreaterThan(0);
  expect(all.clock.slept.length).toBeLessThanOrEqual(6);
  elsewhere();
  const waits = all.clock.slept.length;
  expect((await b.send([now + 20_000])).deduplicated).toBe(3);
  expect(all.clock.slept).toHaveLength(waits);
});

test('what may yet come from an elected replica far behind is kept for a replay', async () => {
  await start(0);
  const [a, b] = [new ReplicaAgent('a'), new ReplicaAgent('b')];
  let at = now - 50 * MINUTE_MS;
  await a.send([at]);
  let settlement: Settlement | undefined;
  const sent = b.send([now], { plain: now }).then((result) => {
    settlement = result;
  });
  // a drains old samples all the while: its turn does not end.
  while (settlement === undefined) {
    at += 1000;
    await a.send([at]);
  }
  await sent;
  expect(settlement?.accepted).toBe(1);
  expect([...(settlement?.refused ?? [])]).toEqual([['ha_gap', 3]]);
  const kept = all.hub.refused.map(({ body, reason }) => [reason, new WrittenSamples(body).count]);
  expect(kept.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(3);
  expect(new WrittenSamples(all.hub.refused[0]!.body).seriesOf(0)).not.toContain('__replica__');
  expect(all.clock.slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(3 * 300_000);
});

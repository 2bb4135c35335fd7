import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PackingOptions } from '../../agent/packing.ts';
import type { ShipOptions } from '../../agent/ship/contracts.ts';
import type { HubClient, HubLink, HubReply, Traffic } from '../../agent/ship/hub-client.ts';
import { type Batch, decodeBatch } from '../../proto/batch.ts';
import { type SampleFormat, sampleFormats } from '../../proto/sample-format.ts';
import { settledCount } from '../../proto/settlement.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  FastClock,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  waiting,
} from './ship-fixture.ts';

const PATIENCE_MS = 5000;

type SampleBatch = Extract<Batch, { lane: 'live' | 'pack' }>;

/** A link that can be cut, on which each lane can be held up, and which keeps what was sent. */
class LanedLink implements HubLink {
  isDown = false;
  readonly batches: Batch[] = [];
  /** Of packs. */
  readonly frames: Uint8Array[] = [];
  client: HubClient;
  /** Instead of the hub's reply to a batch of samples, or after it. */
  meddle: (batch: SampleBatch, ask: () => Promise<HubReply>) => Promise<HubReply> = (_, ask) =>
    ask();
  /** Most packs that were under way at one moment. */
  underWayMax = 0;
  #underWay = 0;

  constructor(client: HubClient) {
    this.client = client;
  }

  get packs() {
    return this.batches.filter((batch) => batch.lane === 'pack');
  }

  get live() {
    return this.batches.filter((batch) => batch.lane === 'live');
  }

  async postBatch(frame: Uint8Array, signal: AbortSignal, traffic: Traffic): Promise<HubReply> {
    if (this.isDown) return { kind: 'unreachable', message: 'down' };
    const batch = decodeBatch(decompressFrame(frame, 2 ** 26));
    this.batches.push(batch);
    const post = () => this.client.postBatch(frame, signal, traffic);
    if (batch.lane !== 'live' && batch.lane !== 'pack') return await post();
    if (batch.lane === 'pack') this.frames.push(frame);
    if (batch.lane === 'pack') this.#underWay++;
    this.underWayMax = Math.max(this.underWayMax, this.#underWay);
    const given = Promise.withResolvers<HubReply>();
    signal.addEventListener('abort', () => given.resolve(unreachable), { once: true });
    const reply = await Promise.race([this.meddle(batch, post), given.promise]);
    if (batch.lane === 'pack') this.#underWay--;
    return reply;
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    if (this.isDown) return { kind: 'unreachable', message: 'down' };
    return await this.client.askPositions(signal);
  }
}

const unreachable: HubReply = { kind: 'unreachable', message: 'answer lost' };

/** Two segments of 50 samples make a pack. */
const PACKING: Partial<PackingOptions> = { samplesMax: 100, ageMinMs: 0, checkEveryMs: 200 };
const SEGMENT_SAMPLES = 50;
const NEWER_FORMAT = 99;

let workspace: Workspace;
let clock: FastClock;
let destination: RecordingDestination;
let hub: RunningHub;
let link: LanedLink;
let agent: RunningAgent;
let appended: number;

beforeEach(async () => {
  workspace = new Workspace('ship-packs');
  clock = new FastClock();
  destination = new RecordingDestination();
  hub = await openHub();
  link = new LanedLink(connect(hub.url, clock));
  appended = 0;
});
afterEach(async () => {
  destination.release();
  await agent.end();
  await link.client.close();
  await hub.end();
  await workspace.close();
});

function start(options: Partial<ShipOptions> & { packing?: Partial<PackingOptions> } = {}): void {
  const packing = { ...PACKING, ...options.packing };
  agent = startAgent(workspace.subfolder('agent'), link, clock, `agent ${appended}`, {
    ...options,
    packing,
  });
}

/** On a clock on which packs wait for their turn as long as requests take to pass each other. */
function openHub(options: Parameters<typeof startHub>[2] = {}): Promise<RunningHub> {
  return startHub(workspace.subfolder('hub'), destination.post, options, 'hub', clock);
}

async function restartHub(options: Parameters<typeof startHub>[2] = {}): Promise<void> {
  await hub.end();
  await link.client.close();
  hub = await openHub(options);
  link.client = connect(hub.url, clock);
}

/** Appends one segment, the next samples of the series `series`; the values do not compress. */
function append(samples = SEGMENT_SAMPLES, series = 'up'): void {
  const rows = Array.from({ length: samples }, () => {
    appended++;
    return [series, appended, Math.imul(appended, 0x9e3779b1) >>> 0] as const;
  });
  agent.append('', rows);
}

const packs = () => agent.buffer.packs('').length;

/** The next one has not heard of the hub before the link is up, and so takes no batch. */
async function restartAgent(options: Parameters<typeof start>[0] = {}): Promise<void> {
  link.isDown = true;
  await agent.end();
  start(options);
}

/** A backlog of `count` packs and the segment behind them, gathered while the link was down. */
async function gather(count: number, segmentSamples = SEGMENT_SAMPLES): Promise<void> {
  link.isDown = true;
  for (let segment = 0; segment < 2 * count + 1; segment++) append(segmentSamples);
  await until('the backlog to be packed', PATIENCE_MS, () => packs() === count);
}

const delivered = () =>
  until('the backlog to be answered for', PATIENCE_MS, () => waiting(agent) === 0);

/** Timestamps in the order in which the destination has stored them. */
const timestamps = () => destination.stored.map((sample) => Number(sample.split('@')[1]));

/** 1, 2, 3, … up to the last sample that was appended. */
const all = () => Array.from({ length: appended }, (_, index) => index + 1);

describe('packs', () => {
  test('go before what was stored behind them, and that in order; several at a time', async () => {
    start();
    await gather(10);
    link.isDown = false;
    await delivered();
    expect(timestamps()).toEqual(all());
    const { packs: sent, live } = link;
    expect(sent.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(new Set(sent.map(({ stream }) => stream)).size).toBe(1);
    expect(live.map(({ samplesCount }) => samplesCount)).toEqual([50]);
    expect(link.underWayMax).toBeGreaterThan(2);
    expect(agent.shipper.stats.settled.accepted).toBe(appended);
  });

  test('whose answers are lost are asked for, and not sent again', async () => {
    start({ packing: { samplesMax: 2000 } });
    await gather(6, 1000);
    link.meddle = async ({ lane }, ask) => {
      const reply = await ask();
      return lane === 'pack' ? unreachable : reply;
    };
    link.isDown = false;
    await delivered();
    expect(timestamps()).toEqual(all());
    expect(link.packs).toHaveLength(6);
    expect(agent.shipper.stats.settled.accepted).toBe(appended);
  });

  test('that are under way when the hub restarts are sent again as a new row, and in order', async () => {
    start();
    await gather(6);
    let answered = 0;
    link.meddle = async ({ lane }, ask) => {
      // The second and all behind it are with the hub when it ends.
      if (lane === 'pack' && ++answered === 2) destination.hold();
      return await ask();
    };
    link.isDown = false;
    await until('packs to be written', PATIENCE_MS, () => destination.requests > 1);
    hub.receiver.save();
    await hub.end();
    destination.release();
    await restartHub();
    await delivered();
    expect(timestamps()).toEqual(all());
    const rows = new Set(link.packs.map(({ stream }) => stream));
    expect(rows.size).toBeGreaterThan(1);
    const { settled, resumed } = agent.shipper.stats;
    expect(settled.accepted + resumed).toBe(appended);
  });

  test('that fail together each wait as after a first failure', async () => {
    const slept = vi.spyOn(clock, 'sleep');
    start();
    await gather(8);
    const broken = Promise.withResolvers<HubReply>();
    const failed = new Set<number>();
    link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'live' || sequence === 0 || failed.has(sequence)) return await ask();
      failed.add(sequence);
      if (failed.size === 4) {
        slept.mockClear();
        broken.resolve(unreachable);
      }
      return await broken.promise;
    };
    link.isDown = false;
    await delivered();
    expect(timestamps()).toEqual(all());
    // Draws of a backoff are no whole numbers.
    const waits = slept.mock.calls.map(([ms]) => ms).filter((ms) => !Number.isInteger(ms));
    expect(waits.length).toBeGreaterThanOrEqual(4);
    expect(Math.max(...waits.slice(0, 4))).toBeLessThanOrEqual(250);
  });

  test('do not wait for ever behind one that a hub has forgotten and that will not come again', async () => {
    start({ packing: { samplesMax: 2000 } });
    await gather(4, 1000);
    let isLost = true;
    link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'live' || sequence < 2 || !isLost) return await ask();
      // With the memory of the hub the row is gone; then a late copy of its first pack arrives.
      await until('the first two', PATIENCE_MS, () => packs() === 2);
      isLost = false;
      await restartHub();
      const { signal } = new AbortController();
      await link.client.postBatch(link.frames[0]!, signal, 'backlog');
      return unreachable;
    };
    link.isDown = false;
    await delivered();
    expect(new Set(timestamps())).toEqual(new Set(all()));
  });

  test('say when their samples may have been written before', async () => {
    start();
    append(1);
    await delivered();
    hub.receiver.save();
    await restartAgent();
    await gather(1);
    const hubIsGone = Promise.withResolvers<void>();
    let requestsBefore = Number.POSITIVE_INFINITY;
    link.meddle = async ({ lane }, ask) => {
      if (lane === 'live') return await ask();
      requestsBefore = destination.requests;
      destination.hold();
      void ask();
      await hubIsGone.promise;
      return unreachable;
    };
    link.isDown = false;
    await until('a pack to be written', PATIENCE_MS, () => destination.requests > requestsBefore);
    await restartHub();
    link.meddle = (_, ask) => ask();
    destination.release();
    hubIsGone.resolve();
    await delivered();
    expect(link.packs.at(-1)!.mayBeRedelivered).toBe(true);
  });

  test('in a format that the hub does not read are written anew in one that it reads', async () => {
    const formats = sampleFormats as Map<number, SampleFormat>;
    formats.set(NEWER_FORMAT, sampleFormats.get(2)!);
    try {
      start();
      await gather(3);
      link.meddle = async (batch, ask) => {
        if (batch.lane === 'live' || batch.keyframe.samplesFormat === 2) return await ask();
        const reply = await link.askPositions(new AbortController().signal);
        if (reply.kind !== 'state') return reply;
        return { kind: 'unreadable_format', state: { ...reply.state, formats: [2] } };
      };
      link.isDown = false;
      await delivered();
    } finally {
      formats.delete(NEWER_FORMAT);
    }
    expect(timestamps()).toEqual(all());
    const { settled } = agent.shipper.stats;
    expect(settled.accepted).toBe(appended);
  });

  test('that the hub refuses as too large are split until they fit', async () => {
    // 20 bytes for each decoded sample.
    await restartHub({ decodedBytesMax: 20 * 30 });
    start({ samplesMax: 10 });
    link.isDown = true;
    for (let segment = 0; segment < 45; segment++) append(10);
    await until('the backlog to be packed', PATIENCE_MS, () => packs() === 4);
    link.isDown = false;
    await delivered();
    expect(timestamps()).toEqual(all());
    const answered = link.packs.filter(({ samplesCount }) => samplesCount <= 30);
    expect(answered.length).toBeGreaterThanOrEqual(16);
    expect(settledCount(agent.shipper.stats.settled)).toBe(appended);
  });
});

describe('a pack that is refused as too large', () => {
  test('does not stop those before it, whose bytes have crossed the link', async () => {
    start();
    await gather(4);
    let isRefused = true;
    link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'pack' && sequence === 1 && isRefused) destination.hold();
      if (lane === 'live' || sequence !== 2 || !isRefused) return await ask();
      // Only when the one before it is with the destination.
      await until('packs to be written', PATIENCE_MS, () => destination.requests > 1);
      isRefused = false;
      return { kind: 'too_large', message: '413' };
    };
    link.isDown = false;
    await until('the refusal', PATIENCE_MS, () => !isRefused);
    destination.release();
    await delivered();
    expect(timestamps()).toEqual(all());
    // The third was cut in two, and nothing but what lay behind it was sent again.
    const counts = link.packs.map(({ samplesCount }) => samplesCount);
    expect(counts.toSorted((one, other) => other - one).slice(-2)).toEqual([50, 50]);
    const positions = link.packs.map((pack) => pack.positions[0]!.first);
    for (const first of [1, 3]) expect(positions.filter((at) => at === first)).toHaveLength(1);
    expect(agent.shipper.stats.settled.redelivered).toBe(0);
  });

  test('does not make the parts of the dictionary smaller when it carried none', async () => {
    await restartHub({ decodedBytesMax: 20 * 300 });
    start({ samplesMax: 100, packing: { samplesMax: 1000 }, order: 'live_first' });
    append(10, 'first');
    await delivered();
    link.isDown = true;
    for (let segment = 0; segment < 81; segment++) append(100, `series_${segment}`);
    await until('the backlog to be packed', PATIENCE_MS, () => packs() >= 7);
    link.isDown = false;
    await delivered();
    expect(agent.shipper.stats.replies.get('too_large')).toBeGreaterThan(10);
    rmSync(workspace.subfolder('hub'), { recursive: true });
    await restartHub();
    link.isDown = true;
    const packsHavePassed = Promise.withResolvers<void>();
    link.meddle = async ({ lane }, ask) => {
      if (lane === 'live') await packsHavePassed.promise;
      return await ask();
    };
    for (let segment = 0; segment < 21; segment++) append(100);
    await until('packs', PATIENCE_MS, () => packs() > 0);
    link.isDown = false;
    await until('packs to be answered for', PATIENCE_MS, () => packs() === 0);
    packsHavePassed.resolve();
    await delivered();
    expect(link.batches.filter(({ lane }) => lane === 'dictionary')).toEqual([]);
  });
});

describe('live first', () => {
  test('a live sample does not wait for packs, not even those of segments behind its batch', async () => {
    start({ order: 'live_first' });
    const gates = { live: Promise.withResolvers<void>(), pack: Promise.withResolvers<void>() };
    link.meddle = async ({ lane }, ask) => {
      await gates[lane].promise;
      return await ask();
    };
    append();
    await until('a live batch to be stuck', PATIENCE_MS, () => link.live.length > 0);
    for (let segment = 0; segment < 5; segment++) append();
    await until('the segments behind it to be packed', PATIENCE_MS, () => packs() === 2);
    gates.live.resolve();
    await until('the first batch', PATIENCE_MS, () => destination.stored.length > 0);
    append(1, 'fresh');
    const fresh = 'overseas {__name__="fresh"}@301';
    await until('the fresh sample', PATIENCE_MS, () => destination.stored.includes(fresh));
    expect(packs()).toBe(3);
    gates.pack.resolve();
    await delivered();
    expect(timestamps().toSorted((one, other) => one - other)).toEqual(all());
  });

  test('a backlog that is yet to be packed does not make a batch of every append', async () => {
    // It is not packed while the test runs.
    const options = {
      order: 'live_first',
      samplesMax: 100,
      maxDelayMs: 20_000,
      packing: { checkEveryMs: 1e9 },
    } as const;
    start(options);
    link.isDown = true;
    for (let segment = 0; segment < 5; segment++) append();
    await restartAgent(options);
    link.isDown = false;
    append(1, 'fresh');
    await until('the first batch', PATIENCE_MS, () => destination.stored.length > 0);
    for (let count = 0; count < 10; count++) {
      append(1, 'fresh');
      await clock.sleep(200);
    }
    expect(link.live.length).toBeLessThanOrEqual(2);
  });

  test('a live batch whose answer was lost does not stop the next while packs are under way', async () => {
    start({ order: 'live_first' });
    await gather(2);
    await restartAgent({ order: 'live_first' });
    link.isDown = false;
    const packsMayPass = Promise.withResolvers<void>();
    const liveIsLost = Promise.withResolvers<void>();
    let isLossy = true;
    link.meddle = async ({ lane }, ask) => {
      if (lane === 'pack') await packsMayPass.promise;
      const reply = await ask();
      if (lane === 'pack' || !isLossy) return reply;
      await liveIsLost.promise;
      return unreachable;
    };
    append(10);
    await until('a live batch to be written', PATIENCE_MS, () => destination.stored.length === 10);
    await until('a pack to be under way', PATIENCE_MS, () => link.packs.length > 0);
    append(1, 'behind');
    hub.receiver.save();
    await restartHub();
    isLossy = false;
    liveIsLost.resolve();
    const behind = `overseas {__name__="behind"}@${appended}`;
    await until('the next sample', PATIENCE_MS, () => destination.stored.includes(behind));
    packsMayPass.resolve();
    await delivered();
    expect(destination.stored).toHaveLength(appended);
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Groundwork } from '../../agent/ship/groundwork.ts';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import { LiveStream } from '../../agent/ship/live-stream.ts';
import { until } from '../tools/until.ts';
import { waiting } from './ship-fixture.ts';
import { PATIENCE_MS, PackRig, unreachable } from './ship-packs-fixture.ts';

/** Nothing is packed; two segments make a batch. */
const OPTIONS = { samplesMax: 100, packing: { ageMinMs: 1e15 } } as const;
const SEGMENTS = 24;

let rig: PackRig;

beforeEach(async () => {
  rig = await PackRig.open();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rig.close();
});

/** A backlog of segments, and a link that was down and is back. */
function startBehind(meddle?: PackRig['link']['meddle']): void {
  rig.start(OPTIONS);
  rig.link.isDown = true;
  for (let segment = 0; segment < SEGMENTS; segment++) rig.append();
  if (meddle !== undefined) rig.link.meddle = meddle;
  rig.link.isDown = false;
}

const sequences = () => rig.link.live.map(({ sequence }) => sequence);
const streams = () => new Set(rig.link.live.map(({ stream }) => stream)).size;

describe('while more waits than one batch can take', () => {
  test('several batches of a stream are under way, and arrive in order', async () => {
    startBehind();
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    expect(sequences()).toEqual(Array.from({ length: SEGMENTS / 2 }, (_, index) => index));
    expect(streams()).toBe(1);
    expect(rig.link.underWayMax.live).toBe(4);
    expect(rig.agent.shipper.stats.settled.accepted).toBe(rig.appended);
  });

  test('new series and their entries cross with the batch that needs them', async () => {
    rig.start(OPTIONS);
    rig.link.isDown = true;
    for (let segment = 0; segment < SEGMENTS; segment++) rig.append(50, `series ${segment}`);
    rig.link.meddle = async (batch, ask) => {
      // The third arrives when others behind it have been sent.
      const others = () => rig.link.underWayMax.live === 4;
      if (batch.sequence === 2) await until('batches behind it', PATIENCE_MS, others);
      return await ask();
    };
    rig.link.isDown = false;
    await rig.delivered();
    // Different series have different lanes.
    expect(rig.timestamps().toSorted((one, other) => one - other)).toEqual(rig.all());
    expect(streams()).toBe(1);
    expect(rig.link.underWayMax.live).toBe(4);
  });

  test('batches whose answers are lost are not written again', async () => {
    const lost = new Set<number>();
    startBehind(async ({ sequence }, ask) => {
      const reply = await ask();
      if (lost.has(sequence)) return reply;
      lost.add(sequence);
      return unreachable;
    });
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    expect(lost.size).toBe(SEGMENTS / 2);
    expect(streams()).toBe(1);
    expect(rig.agent.shipper.stats.settled.accepted).toBe(rig.appended);
  });

  test('what is behind a batch that is lost comes again behind it, as a whole', async () => {
    const lost = new Set<number>();
    startBehind(async ({ sequence }, ask) => {
      if (sequence % 3 !== 1 || lost.has(sequence)) return await ask();
      lost.add(sequence);
      return unreachable;
    });
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    expect(lost.size).toBeGreaterThan(2);
    expect(rig.agent.shipper.stats.settled.accepted).toBe(rig.appended);
  });

  test('a batch that does not fit ends the stream behind it; what was before is answered', async () => {
    const first = Promise.withResolvers<void>();
    let isOver = false;
    startBehind(async ({ sequence }, ask): Promise<HubReply> => {
      if (isOver || sequence === 0) return await ask();
      // The second is still with the hub when the third is refused.
      if (sequence === 1) await first.promise;
      if (sequence !== 2) return await ask();
      isOver = true;
      await until('a batch behind it', PATIENCE_MS, () => rig.link.live.length >= 4);
      first.resolve();
      return { kind: 'too_large', message: 'a proxy' };
    });
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    expect(streams()).toBe(2);
    const { settled } = rig.agent.shipper.stats;
    expect(settled.accepted).toBe(rig.appended);
  });

  test('a hub that restarts gets them again in order', async () => {
    startBehind(async ({ sequence }, ask) => {
      if (sequence === 3) rig.destination.hold();
      return await ask();
    });
    await until('several to be under way', PATIENCE_MS, () => rig.link.live.length > 4);
    await until('some to be written', PATIENCE_MS, () => rig.destination.requests > 1);
    rig.link.meddle = (_, ask) => ask();
    rig.hub.receiver.save();
    await rig.hub.end();
    rig.destination.release();
    await rig.restartHub();
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    expect(streams()).toBeGreaterThan(1);
    const { settled, resumed } = rig.agent.shipper.stats;
    expect(settled.accepted + settled.redelivered + resumed).toBe(rig.appended);
  });
});

test('a stream does not wait for ever behind a batch that a hub has forgotten', async () => {
  // With the memory of the hub the stream is gone; then a late copy of its first batch arrives.
  let losing: Promise<void> | undefined;
  const lose = async (): Promise<void> => {
    await until('the first two', PATIENCE_MS, () => waiting(rig.agent) <= rig.appended - 200);
    await rig.restartHub();
    const { signal } = new AbortController();
    await rig.link.client.postBatch(rig.link.frames[0]!, signal, 'live');
  };
  startBehind(async ({ sequence, stream }, ask) => {
    if (sequence < 2 || stream !== rig.link.live[0]!.stream) return await ask();
    losing ??= lose();
    await losing;
    return await ask();
  });
  await rig.delivered();
  expect(streams()).toBe(2);
  expect(new Set(rig.timestamps())).toEqual(new Set(rig.all()));
});

test('samples that are far apart in time are not under way together', async () => {
  rig.start(OPTIONS);
  rig.append();
  await rig.delivered();
  const gate = Promise.withResolvers<void>();
  rig.link.meddle = async ({ sequence }, ask) => {
    if (sequence === 2) await gate.promise;
    return await ask();
  };
  rig.link.isDown = true;
  for (let segment = 0; segment < 4; segment++) rig.append();
  rig.appended += 31 * 60_000;
  for (let segment = 0; segment < 4; segment++) rig.append();
  rig.link.isDown = false;
  const isNear = vi.spyOn(LiveStream.prototype, 'isNear');
  await until('the jump to be seen', PATIENCE_MS, () => {
    return isNear.mock.results.some(({ value }) => value === false);
  });
  expect(rig.link.live).toHaveLength(3);
  gate.resolve();
  await rig.delivered();
  expect(rig.destination.stored).toHaveLength(450);
  expect(streams()).toBe(1);
});

test('entries that do not fit beside samples do not overtake those that are under way', async () => {
  rig.start(OPTIONS);
  rig.append();
  await rig.delivered();
  const gates = { second: Promise.withResolvers<void>(), others: Promise.withResolvers<void>() };
  rig.link.meddle = async ({ sequence }, ask) => {
    await (sequence === 1 ? gates.second : gates.others).promise;
    return await ask();
  };
  rig.link.isDown = true;
  for (let segment = 0; segment < 10; segment++) rig.append(50, `series ${segment}`);
  rig.link.bytesMax = 1000;
  rig.link.isDown = false;
  await until('four batches to be stuck', PATIENCE_MS, () => rig.link.underWayMax.live === 4);
  const long = 'x'.repeat(500);
  for (let segment = 0; segment < 20; segment++) rig.append(50, `${long} ${segment}`);
  const parts = vi.spyOn(Groundwork.prototype, 'dictionary');
  gates.second.resolve();
  await until('a part that has to wait', PATIENCE_MS, () => {
    return parts.mock.settledResults.some(({ type, value }) => {
      return type === 'fulfilled' && value === undefined;
    });
  });
  gates.others.resolve();
  await rig.delivered();
  expect(rig.link.batches.some(({ lane }) => lane === 'dictionary')).toBe(true);
  expect(rig.agent.shipper.stats.events).toEqual(new Map());
  expect(streams()).toBe(1);
});

test('while one batch can take all there is, the next waits for the answer', async () => {
  rig.start(OPTIONS);
  rig.append();
  await rig.delivered();
  const gate = Promise.withResolvers<void>();
  rig.link.meddle = async (_, ask) => {
    await gate.promise;
    return await ask();
  };
  rig.append();
  await until('a batch to be stuck', PATIENCE_MS, () => rig.link.live.length === 2);
  rig.append(10);
  const slept = vi.spyOn(rig.clock, 'sleep');
  await until('ten times as long as samples wait for others', PATIENCE_MS, () => {
    return slept.mock.calls.filter(([ms]) => ms === 1000).length >= 20;
  });
  expect(rig.link.live).toHaveLength(2);
  gate.resolve();
  await rig.delivered();
  expect(rig.timestamps()).toEqual(rig.all());
});

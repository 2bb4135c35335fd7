import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import { type SampleFormat, sampleFormats } from '../../proto/sample-format.ts';
import { settledCount } from '../../proto/settlement.ts';
import { until } from '../tools/until.ts';
import { PATIENCE_MS, PackRig, unreachable } from './ship-packs-fixture.ts';

const NEWER_FORMAT = 99;

let rig: PackRig;

beforeEach(async () => {
  rig = await PackRig.open();
});
afterEach(() => rig.close());

describe('packs', () => {
  test('go before what was stored behind them, and that in order; several at a time', async () => {
    rig.start();
    await rig.gather(10);
    rig.link.isDown = false;
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    const { packs: sent, live } = rig.link;
    expect(sent.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(new Set(sent.map(({ stream }) => stream)).size).toBe(1);
    expect(live.map(({ samplesCount }) => samplesCount)).toEqual([50]);
    expect(rig.link.underWayMax.pack).toBeGreaterThan(2);
    expect(rig.agent.shipper.stats.settled.accepted).toBe(rig.appended);
  });

  test('whose answers are lost are asked for, and not sent again', async () => {
    rig.start({ packing: { samplesMax: 2000 } });
    await rig.gather(6, 1000);
    rig.link.meddle = async ({ lane }, ask) => {
      const reply = await ask();
      return lane === 'pack' ? unreachable : reply;
    };
    rig.link.isDown = false;
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    expect(rig.link.packs).toHaveLength(6);
    expect(rig.agent.shipper.stats.settled.accepted).toBe(rig.appended);
  });

  test('that are under way when the hub restarts are sent again as a new row, and in order', async () => {
    rig.start();
    await rig.gather(6);
    let answered = 0;
    rig.link.meddle = async ({ lane }, ask) => {
      // The second and all behind it are with the hub when it ends.
      if (lane === 'pack' && ++answered === 2) rig.destination.hold();
      return await ask();
    };
    rig.link.isDown = false;
    await until('packs to be written', PATIENCE_MS, () => rig.destination.requests > 1);
    rig.hub.receiver.save();
    await rig.hub.end();
    rig.destination.release();
    await rig.restartHub();
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    const rows = new Set(rig.link.packs.map(({ stream }) => stream));
    expect(rows.size).toBeGreaterThan(1);
    const { settled, resumed } = rig.agent.shipper.stats;
    expect(settled.accepted + resumed).toBe(rig.appended);
  });

  test('that fail together each wait as after a first failure', async () => {
    const slept = vi.spyOn(rig.clock, 'sleep');
    rig.start();
    await rig.gather(8);
    const broken = Promise.withResolvers<HubReply>();
    const failed = new Set<number>();
    rig.link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'live' || sequence === 0 || failed.has(sequence)) return await ask();
      failed.add(sequence);
      if (failed.size === 4) {
        slept.mockClear();
        broken.resolve(unreachable);
      }
      return await broken.promise;
    };
    rig.link.isDown = false;
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    // Draws of a backoff are no whole numbers.
    const waits = slept.mock.calls.map(([ms]) => ms).filter((ms) => !Number.isInteger(ms));
    expect(waits.length).toBeGreaterThanOrEqual(4);
    expect(Math.max(...waits.slice(0, 4))).toBeLessThanOrEqual(250);
  });

  test('do not wait for ever behind one that a hub has forgotten and that will not come again', async () => {
    rig.start({ packing: { samplesMax: 2000 } });
    await rig.gather(4, 1000);
    // With the memory of the hub the row is gone; then a late copy of its first pack arrives. Once,
    // however many packs are under way.
    let losing: Promise<void> | undefined;
    let isLost = true;
    const lose = async (): Promise<void> => {
      await until('the first two', PATIENCE_MS, () => rig.packCount <= 2);
      isLost = false;
      await rig.restartHub();
      const { signal } = new AbortController();
      await rig.link.client.postBatch(rig.link.frames[0]!, signal, 'backlog');
    };
    rig.link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'live' || sequence < 2 || !isLost) return await ask();
      losing ??= lose();
      await losing;
      return unreachable;
    };
    rig.link.isDown = false;
    await rig.delivered();
    expect(new Set(rig.timestamps())).toEqual(new Set(rig.all()));
  });

  test('say when their samples may have been written before', async () => {
    rig.start();
    rig.append(1);
    await rig.delivered();
    rig.hub.receiver.save();
    await rig.restartAgent();
    await rig.gather(1);
    const hubIsGone = Promise.withResolvers<void>();
    let requestsBefore = Number.POSITIVE_INFINITY;
    rig.link.meddle = async ({ lane }, ask) => {
      if (lane === 'live') return await ask();
      requestsBefore = rig.destination.requests;
      rig.destination.hold();
      void ask();
      await hubIsGone.promise;
      return unreachable;
    };
    rig.link.isDown = false;
    await until(
      'a pack to be written',
      PATIENCE_MS,
      () => rig.destination.requests > requestsBefore,
    );
    await rig.restartHub();
    rig.link.meddle = (_, ask) => ask();
    rig.destination.release();
    hubIsGone.resolve();
    await rig.delivered();
    expect(rig.link.packs.at(-1)!.mayBeRedelivered).toBe(true);
  });

  test('in a format that the hub does not read are written anew in one that it reads', async () => {
    const formats = sampleFormats as Map<number, SampleFormat>;
    formats.set(NEWER_FORMAT, sampleFormats.get(3)!);
    try {
      rig.start();
      await rig.gather(3);
      rig.link.meddle = async (batch, ask) => {
        if (batch.lane === 'live' || batch.keyframe.samplesFormat === 3) return await ask();
        const reply = await rig.link.askPositions(new AbortController().signal);
        if (reply.kind !== 'state') return reply;
        return { kind: 'unreadable_format', state: { ...reply.state, formats: [3] } };
      };
      rig.link.isDown = false;
      await rig.delivered();
    } finally {
      formats.delete(NEWER_FORMAT);
    }
    expect(rig.timestamps()).toEqual(rig.all());
    const { settled } = rig.agent.shipper.stats;
    expect(settled.accepted).toBe(rig.appended);
  });

  test('that the hub refuses as too large are split until they fit', async () => {
    // 20 bytes for each decoded sample.
    await rig.restartHub({ decodedBytesMax: 20 * 30 });
    rig.start({ samplesMax: 10 });
    rig.link.isDown = true;
    for (let segment = 0; segment < 45; segment++) rig.append(10);
    await until('the backlog to be packed', PATIENCE_MS, () => rig.packCount === 4);
    rig.link.isDown = false;
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    const answered = rig.link.packs.filter(({ samplesCount }) => samplesCount <= 30);
    expect(answered.length).toBeGreaterThanOrEqual(16);
    expect(settledCount(rig.agent.shipper.stats.settled)).toBe(rig.appended);
  });
});

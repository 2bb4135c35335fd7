import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../tools/until.ts';
import { PATIENCE_MS, PackRig } from './ship-packs-fixture.ts';

let rig: PackRig;

beforeEach(async () => {
  rig = await PackRig.open();
});
afterEach(() => rig.close());

describe('a pack that is refused as too large', () => {
  test('does not stop those before it, whose bytes have crossed the link', async () => {
    rig.start();
    await rig.gather(4);
    let isRefused = true;
    rig.link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'pack' && sequence === 1 && isRefused) {
        await until(
          'the first pack to be written',
          PATIENCE_MS,
          () => rig.destination.requests > 0,
        );
        rig.destination.hold();
      }
      if (lane === 'live' || sequence !== 2 || !isRefused) return await ask();
      // Only when the one before it is with the destination.
      await until('packs to be written', PATIENCE_MS, () => rig.destination.requests > 1);
      isRefused = false;
      return { kind: 'too_large', message: '413' };
    };
    rig.link.isDown = false;
    await until('the refusal', PATIENCE_MS, () => !isRefused);
    rig.destination.release();
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    // The third was cut in two, and nothing but what lay behind it was sent again.
    const counts = rig.link.packs.map(({ samplesCount }) => samplesCount);
    expect(counts.toSorted((one, other) => other - one).slice(-2)).toEqual([50, 50]);
    const positions = rig.link.packs.map((pack) => pack.positions[0]!.first);
    for (const first of [1, 3]) expect(positions.filter((at) => at === first)).toHaveLength(1);
    expect(rig.agent.shipper.stats.settled.redelivered).toBe(0);
  });

  test('nor are those behind it sent whole again, which the hub has not taken in either', async () => {
    rig.start();
    rig.append();
    await rig.delivered();
    await rig.gather(6);
    rig.link.meddle = async (batch, ask) => {
      // The first of a row goes alone.
      const isFirst = batch.sequence === 0;
      if (batch.lane === 'live' || isFirst || batch.samplesCount <= 50) return await ask();
      await until('another pack under way', PATIENCE_MS, () => rig.link.underWayMax > 1);
      return { kind: 'too_large', message: '413' };
    };
    rig.link.isDown = false;
    await rig.delivered();
    expect(rig.timestamps()).toEqual(rig.all());
    const whole = rig.link.packs.filter(({ samplesCount }) => samplesCount > 50);
    const positions = whole.map((pack) => pack.positions[0]!.first);
    expect(positions.length).toBeGreaterThan(1);
    expect(new Set(positions).size).toBe(positions.length);
  });

  test('does not make the parts of the dictionary smaller when it carried none', async () => {
    await rig.restartHub({ decodedBytesMax: 20 * 300 });
    rig.start({ samplesMax: 100, packing: { samplesMax: 1000 }, order: 'live_first' });
    // The hub has all entries, few at a time, before there are packs.
    for (let segment = 0; segment < 81; segment++) {
      rig.append(1, `series_${segment}`);
      if (segment % 20 === 19) await rig.delivered();
    }
    await rig.delivered();
    rig.link.isDown = true;
    for (let segment = 0; segment < 81; segment++) rig.append(100, `series_${segment}`);
    await until('the backlog to be packed', PATIENCE_MS, () => rig.packCount >= 7);
    rig.link.isDown = false;
    await rig.delivered();
    expect(rig.agent.shipper.stats.replies.get('too_large')).toBeGreaterThan(0);
    rmSync(rig.workspace.subfolder('hub'), { recursive: true });
    await rig.restartHub();
    rig.link.isDown = true;
    const packsHavePassed = Promise.withResolvers<void>();
    rig.link.meddle = async ({ lane }, ask) => {
      if (lane === 'live') await packsHavePassed.promise;
      return await ask();
    };
    for (let segment = 0; segment < 21; segment++) rig.append(100);
    await until('packs', PATIENCE_MS, () => rig.packCount > 0);
    rig.link.isDown = false;
    await until('packs to be answered for', PATIENCE_MS, () => rig.packCount === 0);
    packsHavePassed.resolve();
    await rig.delivered();
    expect(rig.link.batches.filter(({ lane }) => lane === 'dictionary')).toEqual([]);
  });
});

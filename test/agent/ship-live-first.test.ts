import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../tools/until.ts';
import { PATIENCE_MS, PackRig, unreachable } from './ship-packs-fixture.ts';

let rig: PackRig;

beforeEach(async () => {
  rig = await PackRig.open();
});
afterEach(() => rig.close());

describe('live first', () => {
  test('a live sample does not wait for packs, not even those of segments behind its batch', async () => {
    rig.start({ order: 'live_first' });
    const gates = { live: Promise.withResolvers<void>(), pack: Promise.withResolvers<void>() };
    rig.link.meddle = async ({ lane }, ask) => {
      await gates[lane].promise;
      return await ask();
    };
    rig.append();
    await until('a live batch to be stuck', PATIENCE_MS, () => rig.link.live.length > 0);
    for (let segment = 0; segment < 5; segment++) rig.append();
    await until('the segments behind it to be packed', PATIENCE_MS, () => rig.packCount === 2);
    gates.live.resolve();
    await until('the first batch', PATIENCE_MS, () => rig.destination.stored.length > 0);
    rig.append(1, 'fresh');
    const fresh = 'overseas {__name__="fresh"}@301';
    await until('the fresh sample', PATIENCE_MS, () => rig.destination.stored.includes(fresh));
    expect(rig.packCount).toBeGreaterThanOrEqual(2);
    gates.pack.resolve();
    await rig.delivered();
    expect(rig.timestamps().toSorted((one, other) => one - other)).toEqual(rig.all());
  });

  test('a backlog that is yet to be packed does not make a batch of every append', async () => {
    // It is not packed while the test runs.
    const options = {
      order: 'live_first',
      samplesMax: 100,
      maxDelayMs: 20_000,
      packing: { checkEveryMs: 1e9 },
    } as const;
    rig.start(options);
    rig.link.isDown = true;
    for (let segment = 0; segment < 5; segment++) rig.append();
    await rig.restartAgent(options);
    rig.link.isDown = false;
    rig.append(1, 'fresh');
    await until('the first batch', PATIENCE_MS, () => rig.destination.stored.length > 0);
    for (let count = 0; count < 10; count++) {
      rig.append(1, 'fresh');
      await rig.clock.sleep(200);
    }
    expect(rig.link.live.length).toBeLessThanOrEqual(2);
  });

  test('a live batch whose answer was lost does not stop the next while packs are under way', async () => {
    rig.start({ order: 'live_first' });
    await rig.gather(2);
    await rig.restartAgent({ order: 'live_first' });
    rig.link.isDown = false;
    const packsMayPass = Promise.withResolvers<void>();
    const liveIsLost = Promise.withResolvers<void>();
    let isLossy = true;
    rig.link.meddle = async ({ lane }, ask) => {
      if (lane === 'pack') await packsMayPass.promise;
      const reply = await ask();
      if (lane === 'pack' || !isLossy) return reply;
      await liveIsLost.promise;
      return unreachable;
    };
    rig.append(10);
    await until(
      'a live batch to be written',
      PATIENCE_MS,
      () => rig.destination.stored.length === 10,
    );
    await until('a pack to be under way', PATIENCE_MS, () => rig.link.packs.length > 0);
    rig.append(1, 'behind');
    rig.hub.receiver.save();
    await rig.restartHub();
    isLossy = false;
    liveIsLost.resolve();
    const behind = `overseas {__name__="behind"}@${rig.appended}`;
    await until('the next sample', PATIENCE_MS, () => rig.destination.stored.includes(behind));
    packsMayPass.resolve();
    await rig.delivered();
    expect(rig.destination.stored).toHaveLength(rig.appended);
  });
});

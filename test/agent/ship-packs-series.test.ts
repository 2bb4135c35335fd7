import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../tools/until.ts';
import { PATIENCE_MS, PackRig, unreachable } from './ship-packs-fixture.ts';

const SERIES = 60;
const ROUNDS = 20;
/** Eight rounds become four packs; the last four rounds stay segments. */
const packing = {
  samplesMax: 150,
  samplesPerSeriesMin: 5,
  severalSamplesMax: 8 * SERIES,
  ageMinMs: 0,
};
const PACKS = 8;

let rig: PackRig;

beforeEach(async () => {
  rig = await PackRig.open();
});
afterEach(() => rig.close());

/** A backlog of many series, gathered while the link was down. */
async function gather(): Promise<void> {
  rig.link.isDown = true;
  for (let round = 1; round <= ROUNDS; round++) {
    for (let first = 0; first < SERIES; first += 20) {
      const rows = Array.from({ length: 20 }, (_, at) => {
        return [`series_${first + at}`, round, Math.imul(round * first + at, 0x9e3779b1) >>> 0];
      });
      rig.agent.append('', rows as [string, number, number][]);
    }
  }
  await until('the backlog to be packed', PATIENCE_MS, () => rig.packCount === PACKS);
}

/** Timestamps by series, in the order in which the destination has stored them. */
function delivered(): number[][] {
  const samples = rig.destination.stored.map((line) => line.split('@'));
  const bySeries = Map.groupBy(samples, ([series]) => series);
  return Array.from(bySeries.values(), (stored) => stored.map(([, at]) => Number(at)));
}

function expectAllInOrder(): void {
  const series = delivered();
  expect(series).toHaveLength(SERIES);
  for (const timestamps of series) {
    expect(timestamps).toEqual(Array.from({ length: ROUNDS }, (_, at) => at + 1));
  }
}

describe('packs of many series', () => {
  test('bring each series in order, and before what was stored behind them', async () => {
    rig.start({ packing });
    await gather();
    rig.link.isDown = false;
    await rig.delivered();
    expectAllInOrder();
    expect(rig.link.packs).toHaveLength(PACKS);
    expect(rig.link.underWayMax.pack).toBeGreaterThan(1);
    expect(rig.agent.shipper.stats.settled).toMatchObject({
      accepted: SERIES * ROUNDS,
      redelivered: 0,
    });
    // Nobody has sent anything of one because another one was sent.
    expect(rig.link.packs.filter((pack) => pack.mayBeRedelivered)).toEqual([]);
  });

  test('whose answers are lost are asked for, and not sent again', async () => {
    rig.start({ packing });
    await gather();
    rig.link.meddle = async ({ lane }, ask) => {
      const reply = await ask();
      return lane === 'pack' ? unreachable : reply;
    };
    rig.link.isDown = false;
    await rig.delivered();
    expectAllInOrder();
    expect(rig.link.packs).toHaveLength(PACKS);
  });

  test('go on where they were when the agent restarts', async () => {
    rig.start({ packing });
    await gather();
    rig.link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'pack' && sequence === 3) rig.link.isDown = true;
      return rig.link.isDown ? unreachable : await ask();
    };
    rig.link.isDown = false;
    await until('the link to be cut', PATIENCE_MS, () => rig.link.isDown);
    await rig.restartAgent({ packing });
    rig.link.meddle = (_, ask) => ask();
    rig.link.isDown = false;
    await rig.delivered();
    expectAllInOrder();
  });

  test('become smaller ones when the link turns out to be slow, the first of them sent or not', async () => {
    rig.start({ packing });
    await gather();
    const bytesMax = Math.min(...rig.agent.buffer.packs('').map(({ bytes }) => bytes)) / 4;
    rig.link.meddle = async ({ lane }, ask) => {
      if (lane === 'pack') rig.link.bytesMax = bytesMax;
      return await ask();
    };
    rig.link.isDown = false;
    await rig.delivered();
    expectAllInOrder();
    const [first, ...others] = rig.link.packs;
    expect(first!.samplesCount).toBe(120);
    expect(others.length).toBeGreaterThan(2 * PACKS);
    for (const { samples } of others) expect(samples.length).toBeLessThanOrEqual(2 * bytesMax);
    expect(rig.link.packs.filter((pack) => pack.mayBeRedelivered)).toEqual([]);
  });

  test('that may be with the hub are sent again as they were, however slow the link is', async () => {
    rig.start({ packing });
    await gather();
    let isHeld = false;
    rig.link.meddle = async ({ lane, sequence }, ask) => {
      if (lane === 'pack' && sequence === 1 && !isHeld) {
        rig.destination.hold();
        isHeld = true;
      }
      return await ask();
    };
    rig.link.isDown = false;
    await until('a pack to be written', PATIENCE_MS, () => isHeld && rig.destination.requests > 1);
    rig.link.bytesMax = 50;
    const before = rig.link.packs.map((pack) => pack.positions[0]!.first);
    await rig.hub.end();
    rig.destination.release();
    await rig.restartHub();
    await rig.delivered();
    const after = rig.link.packs.slice(before.length).map((pack) => pack.positions[0]!.first);
    // The first was answered for.
    expect(before.length).toBeGreaterThan(1);
    expect(after).toEqual(expect.arrayContaining(before.slice(1)));
  });
});

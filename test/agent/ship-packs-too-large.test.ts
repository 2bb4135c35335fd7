import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Batch } from '../../proto/batch.ts';
import { decodePack } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { until } from '../tools/until.ts';
import { waiting } from './ship-fixture.ts';
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
    // One that has heard of the hub would begin a live batch, whose segments cannot be packed.
    await rig.restartAgent();
    await rig.gather(6);
    rig.link.meddle = async (batch, ask) => {
      // The first of a row goes alone.
      const isFirst = batch.sequence === 0;
      if (batch.lane === 'live' || isFirst || batch.samplesCount <= 50) return await ask();
      await until('another pack under way', PATIENCE_MS, () => rig.link.underWayMax.pack > 1);
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

function timestampsOf(batch: Batch): number[] {
  if (batch.lane !== 'pack') return [];
  const columns = new SampleColumns();
  const { samplesCount: samples, keyframe } = batch;
  decodePack(batch.samples, { format: keyframe.samplesFormat, samples, idsMax: 100 }, columns);
  return Array.from(columns.timestamps.subarray(0, columns.count));
}

test('a sample that is refused alone is parked and named, and tried again later', async () => {
  rig.start();
  await rig.gather(2);
  const guilty = 30;
  let isMended = false;
  rig.link.meddle = async (batch, ask) => {
    const columns = timestampsOf(batch);
    const isRefused = columns.includes(guilty) && !isMended;
    return isRefused ? { kind: 'too_large', message: '413 of a proxy' } : await ask();
  };
  rig.link.isDown = false;
  await until('all others', PATIENCE_MS, () => waiting(rig.agent) === 1);
  expect(rig.timestamps()).toEqual(rig.all().filter((number) => number !== guilty));
  const said = rig.agent.lines.find(({ msg }) =>
    String(msg).includes('a sample is refused as too large'),
  );
  expect(said).toMatchObject({ samples: 1, series: '{__name__="up"}', answer: '413 of a proxy' });
  // Others go on meanwhile, and those of the same series too.
  rig.append(1);
  await until('the next one', PATIENCE_MS, () => rig.timestamps().at(-1) === rig.appended);
  expect(rig.agent.shipper.stats.events.get('too large alone')).toBe(1);
  isMended = true;
  rig.clock.skip(600_000);
  await rig.delivered();
  expect(rig.timestamps().at(-1)).toBe(guilty);
});

test('a fresh sample that is refused alone is parked as well', async () => {
  rig.start();
  rig.append(1);
  await rig.delivered();
  rig.link.meddle = async (batch, ask) => {
    const isRefused = batch.samplesCount === 1;
    return isRefused ? { kind: 'too_large', message: '413 of a proxy' } : await ask();
  };
  rig.append(1);
  await until('the sample to be parked', PATIENCE_MS, () => rig.agent.buffer.parkedSamples === 1);
  rig.append();
  await until('all others', PATIENCE_MS, () => waiting(rig.agent) === 1);
  expect(rig.timestamps()).toEqual(rig.all().filter((number) => number !== 2));
});

test('a hub that is gone whenever it has the same pack gets smaller ones', async () => {
  rig.start();
  await rig.gather(1);
  const samples: number[] = [];
  rig.link.meddle = async (batch, ask) => {
    samples.push(batch.samplesCount);
    if (batch.samplesCount <= 50) return await ask();
    return { kind: 'unreachable', message: 'other side closed', isCutOff: true };
  };
  rig.link.isDown = false;
  await rig.delivered();
  expect(samples.filter((count) => count > 50)).toEqual([100, 100, 100, 100]);
  expect(rig.timestamps()).toEqual(rig.all());
});

test('one that is cut off three times in each is not taken for it', async () => {
  rig.start();
  await rig.gather(2);
  const attempts = new Map<number, number>();
  rig.link.meddle = async (batch, ask) => {
    const { first } = batch.positions[0]!;
    const attempt = (attempts.get(first) ?? 0) + 1;
    attempts.set(first, attempt);
    if (batch.lane !== 'pack' || attempt > 3) return await ask();
    return { kind: 'unreachable', message: 'other side closed', isCutOff: true };
  };
  rig.link.isDown = false;
  await rig.delivered();
  const counts = rig.link.packs.map(({ samplesCount }) => samplesCount);
  expect(counts).toEqual(counts.map(() => 100));
  expect(counts.length).toBeGreaterThanOrEqual(8);
});

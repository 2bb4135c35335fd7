import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type PackHead, PackTable } from '../../agent/buffer/pack-table.ts';
import { PACKING, type PackingOptions, packBacklog } from '../../agent/packing.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import type { Clock } from '../../base/clock.ts';
import { decodePack } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, powerCut, seriesEntries, T0 } from './buffer-fixture.ts';
import type { SampleBuffer } from './packs-fixture.ts';

const SERIES = 60;
const ROUNDS = 8;
/** One pack of so many samples would hold two or three of each series. */
const MANY: PackingOptions = {
  ...PACKING,
  samplesMax: 150,
  samplesPerSeriesMin: 5,
  severalSamplesMax: 1e6,
};

let workspace: Workspace;
let buffer: SampleBuffer;

beforeEach(() => {
  workspace = new Workspace('by-series');
  buffer = openBuffer(workspace.subfolder('data'), 'one').buffer;
});
afterEach(async () => {
  vi.restoreAllMocks();
  buffer.close();
  await workspace.close();
});

/** Every series once, as segments of `perSegment` series; the bits are unlike any number's. */
function scrape(round: number, perSegment = 20): void {
  for (let first = 0; first < SERIES; first += perSegment) {
    const columns = new SampleColumns();
    for (let id = first; id < first + perSegment; id++) {
      columns.push(id, T0 + round * 15_000 + id, Math.imul(id + round, 0x9e3779b1) >>> 0, round);
    }
    const names = Array.from({ length: SERIES }, (_, id) => `series_${id}`);
    const isFirst = buffer.dictionary.length === 0;
    const newEntries = { firstId: 0, entries: seriesEntries(...names) };
    buffer.append([{ tenant: '', columns, ...(isFirst ? { newEntries } : {}) }]);
  }
}

/** Packs until there is nothing to do; `onTurn` happens whenever others have their turn. */
async function packAll(
  options: Partial<PackingOptions> = {},
  onTurn = () => {},
  { looks = 2, backlogEnd = () => Number.MAX_SAFE_INTEGER } = {},
): Promise<void> {
  const ending = new AbortController();
  let waits = 0;
  const clock: Clock = {
    now: () => T0 + 3_600_000,
    elapsedMs: () => T0 + 3_600_000,
    sleep: async (ms) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (ms === 0) onTurn();
      else if (++waits > looks) ending.abort();
    },
  };
  const { log } = memoryLog();
  const deps = { buffer, targets: new TargetKeys(buffer), clock, log, backlogEnd, onPacked() {} };
  await packBacklog({ ...MANY, ...options }, deps, ending.signal);
}

/** Seconds behind T0 of the samples of each series in a pack, in their order. */
function content(pack: PackHead): Map<number, number[]> {
  const columns = new SampleColumns();
  decodePack(buffer.readPack(pack)!, { ...pack, idsMax: SERIES }, columns);
  buffer.unpinPack(pack);
  const series = new Map<number, number[]>();
  for (let row = 0; row < columns.count; row++) {
    const id = columns.ids[row]!;
    const seconds = Math.floor((columns.timestamps[row]! - T0) / 1000);
    series.set(id, [...(series.get(id) ?? []), seconds]);
  }
  return series;
}

/** What every series has after so many scrapes. */
const allOf = (rounds: number) => Array.from({ length: rounds }, (_, round) => round * 15);

test('a backlog of many series becomes packs of all that some of them have', async () => {
  for (let round = 0; round < ROUNDS; round++) scrape(round);
  await packAll();
  const packs = buffer.packs('');
  expect(packs).toHaveLength(4);
  const series = packs.flatMap((pack) => [...content(pack)]);
  expect(series).toHaveLength(SERIES);
  for (const [, seconds] of series) expect(seconds).toEqual(allOf(ROUNDS));
  // The ids of one replica of an HA pair may all be below those of the other.
  for (const pack of packs) {
    const inFirstHalf = [...content(pack).keys()].filter((id) => id < SERIES / 2);
    expect(inFirstHalf.length).toBeGreaterThan(4);
    expect(inFirstHalf.length).toBeLessThan(11);
  }
  for (const { samples, positions } of packs) {
    expect(samples).toBeLessThanOrEqual(150);
    expect(positions).toMatchObject([{ run: buffer.run, last: positions[0]!.first }]);
  }
  expect(packs.map(({ positions }) => positions[0]!.first)).toEqual([25, 26, 27, 28]);
  const places = packs.map(({ id, lastId, firstSample }) => [id, lastId, firstSample]);
  expect(places).toEqual([0, 120, 240, 360].map((firstSample) => [1, 24, firstSample]));
  for (const { oldest, newest } of packs) {
    expect(Math.floor((oldest - T0) / 1000)).toBe(0);
    expect(Math.floor((newest - T0) / 1000)).toBe(15 * (ROUNDS - 1));
  }
  expect(buffer.backlog.get('')).toBe(SERIES * ROUNDS);
  expect(buffer.unpackedSamples('')).toBe(0);
  // Each is answered for by itself, and what is stored next has the next position.
  expect(buffer.acknowledge('', packs[1]!.positions)).toBe(120);
  scrape(ROUNDS, SERIES);
  expect(buffer.read('', 100, 25).map(({ sequence }) => sequence)).toEqual([29]);
});

test('a backlog of few series is packed as it comes, under the positions of its segments', async () => {
  for (let round = 0; round < ROUNDS; round++) scrape(round);
  await packAll({ samplesMax: 300 });
  const positions = buffer.packs('').map((pack) => pack.positions);
  expect(positions).toMatchObject([[{ first: 1, last: 15 }], [{ first: 16, last: 24 }]]);
});

test('a pack that is full early is followed by another of the same series', async () => {
  const BUSY = 7;
  const busy: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    scrape(round);
    const columns = new SampleColumns();
    for (let second = 1; second < 15; second++) {
      columns.push(BUSY, T0 + (round * 15 + second) * 1000, second, round);
    }
    buffer.append([{ tenant: '', columns }]);
    for (let second = 0; second < 15; second++) busy.push(round * 15 + second);
  }
  await packAll({ samplesMax: 50 });
  const seen = new Map<number, number[]>();
  let sharers = 0;
  for (const pack of buffer.packs('')) {
    expect(pack.samples).toBeLessThanOrEqual(50);
    const series = content(pack);
    if (series.has(BUSY)) sharers++;
    for (const [id, seconds] of series) seen.set(id, [...(seen.get(id) ?? []), ...seconds]);
  }
  expect(sharers).toBeGreaterThan(2);
  expect(seen.size).toBe(SERIES);
  for (const [id, seconds] of seen) expect(seconds).toEqual(id === BUSY ? busy : allOf(ROUNDS));
});

test('no more goes into one transaction than the limits say', async () => {
  for (let round = 0; round < ROUNDS; round++) scrape(round);
  await packAll({ severalSegmentsMax: 12 });
  const places = new Set(buffer.packs('').map(({ id, lastId }) => `${id}-${lastId}`));
  expect([...places]).toEqual(['1-12', '13-24']);
  expect(buffer.unpackedSamples('')).toBe(0);
});

test('a backlog that may still grow is left alone, and looked at rarely', async () => {
  for (let round = 0; round < ROUNDS; round++) scrape(round);
  const packable = vi.spyOn(buffer, 'packable');
  const severalSamplesMax = SERIES * ROUNDS;
  await packAll({ severalSamplesMax }, undefined, { looks: 25, backlogEnd: () => 0 });
  expect(buffer.packs('')).toEqual([]);
  // Three times, for one pack and for several.
  expect(packable).toHaveBeenCalledTimes(6);
  scrape(ROUNDS);
  await packAll({ severalSamplesMax }, undefined, { backlogEnd: () => 0 });
  expect(buffer.packs('')).toHaveLength(4);
  expect(buffer.unpackedSamples('')).toBe(SERIES);
});

const NOISE_ROUNDS = 24;
const NOISE_SAMPLES = 4000;

/** Segments of many samples whose values do not compress. */
function appendNoise(): void {
  for (let round = 0; round < NOISE_ROUNDS; round++) {
    const columns = new SampleColumns();
    for (let at = round * NOISE_SAMPLES; at < (round + 1) * NOISE_SAMPLES; at++) {
      const low = Math.imul(at + 1, 0x9e3779b1) >>> 0;
      columns.push(at % SERIES, T0 + at, low, (low >>> 1) | 0x40000000);
    }
    const names = Array.from({ length: SERIES }, (_, id) => `series_${id}`);
    const newEntries = { firstId: 0, entries: seriesEntries(...names) };
    buffer.append([{ tenant: '', columns, ...(round === 0 ? { newEntries } : {}) }]);
  }
}

test('others have their turn after each section, whose bytes bound a pack as well', async () => {
  appendNoise();
  let turns = 0;
  const bytesMax = 100_000;
  const options = { bytesMax, samplesMax: 80_000, samplesPerSeriesMin: 1e6 };
  await packAll(options, () => turns++);
  const packs = buffer.packs('');
  expect(packs.length).toBeGreaterThan(2);
  for (const { bytes } of packs) expect(bytes).toBeLessThan(3 * bytesMax);
  expect(packs.reduce((sum, { samples }) => sum + samples, 0)).toBe(NOISE_ROUNDS * NOISE_SAMPLES);
  expect(turns).toBeGreaterThan(6);
});

test('work on segments of which the first is about to be sent ends at once', async () => {
  appendNoise();
  const storePacks = vi.spyOn(buffer, 'storePacks');
  let pinned = 0;
  const options = { samplesMax: 80_000, samplesPerSeriesMin: 1e6 };
  await packAll(options, () => {
    if (pinned === 0) pinned = buffer.read('', 1)[0]!.id;
  });
  expect(pinned).toBe(1);
  expect(storePacks.mock.calls.map(([heads]) => heads[0]!.id)).toEqual([2]);
  expect(buffer.unpackedSamples('')).toBe(NOISE_SAMPLES);
});

test('segments or packs are there after a crash, whenever that comes', async () => {
  for (let round = 0; round < ROUNDS; round++) scrape(round);
  const dataDir = workspace.subfolder('data');
  const add = PackTable.prototype.add;
  let added = 0;
  vi.spyOn(PackTable.prototype, 'add').mockImplementation(function (this: PackTable, pack) {
    if (++added !== 3) return add.call(this, pack);
    powerCut(dataDir);
    throw Object.assign(new Error('disk full'), { code: 'SQLITE_FULL' });
  });
  await packAll({}, () => {
    if (added !== 3) return;
    expect(buffer.packs('')).toEqual([]);
    expect(buffer.unpackedSamples('')).toBe(SERIES * ROUNDS);
  });
  const packs = buffer.packs('');
  expect(packs).toHaveLength(4);
  const { buffer: inBetween } = openBuffer(`${dataDir}-copy`, 'two');
  expect(inBetween.packs('')).toEqual([]);
  expect(inBetween.unpackedSamples('')).toBe(SERIES * ROUNDS);
  expect(inBetween.losses.vanishedSegments).toBe(0);
  inBetween.close();
  buffer.close();
  ({ buffer } = openBuffer(dataDir, 'three'));
  expect(buffer.packs('')).toEqual(packs);
  expect(buffer.unpackedSamples('')).toBe(0);
  expect(buffer.losses.vanishedSegments).toBe(0);
});

test('the packs of one time are evicted by the age of the newest segment, all of them', async () => {
  buffer.close();
  const opened = openBuffer(workspace.subfolder('aged'), 'aged', { ageMaxMs: 60_000 });
  ({ buffer } = opened);
  const { clock } = opened;
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) clock.ms += 5000;
    scrape(round);
  }
  await packAll();
  expect(buffer.packs('')).toHaveLength(4);
  clock.ms += 60_000;
  buffer.housekeep();
  expect(buffer.packs('')).toHaveLength(4);
  clock.ms += 1;
  buffer.housekeep();
  expect(buffer.losses.samples.age).toBe(SERIES * ROUNDS);
  expect(buffer.backlog.get('')).toBe(0);
});

test.each<[string, () => unknown]>([
  ['was answered for', () => buffer.acknowledge('', [{ run: buffer.run, first: 5, last: 5 }])],
  ['is about to be sent', () => buffer.read('', 20)],
])('nothing is stored when a segment %s meanwhile', async (_, happen) => {
  for (let round = 0; round < ROUNDS; round++) scrape(round);
  vi.spyOn(buffer, 'compact');
  const storePacks = vi.spyOn(buffer, 'storePacks').mockImplementationOnce((...all) => {
    happen();
    storePacks.mockRestore();
    const isStored = buffer.storePacks(...all);
    expect(isStored).toBe(false);
    expect(buffer.packs('')).toEqual([]);
    return isStored;
  });
  await packAll();
  const packed = buffer.packs('').reduce((sum, { samples }) => sum + samples, 0);
  expect(packed + buffer.unpackedSamples('')).toBe(buffer.backlog.get(''));
});

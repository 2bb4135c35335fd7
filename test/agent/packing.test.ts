import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PACKING, type PackingOptions, packBacklog } from '../../agent/packing.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import type { Clock } from '../../base/clock.ts';
import { decodePack } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, openDatabase, seriesEntries, T0 } from './buffer-fixture.ts';
import { failingDisk, type SampleBuffer } from './packs-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('packing');
  dataDir = workspace.subfolder('data');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await workspace.close();
});

/** Waits are over after a turn of the event loop; the first that is not 0 ends the packing. */
class WorkdayClock implements Clock {
  readonly slept: number[] = [];
  turns = 0;
  readonly #ending: AbortController;
  readonly #days: number;

  /** @param days waits for work until it is evening */
  constructor(ending: AbortController, days: number) {
    this.#ending = ending;
    this.#days = days;
  }

  now(): number {
    return T0 + 3_600_000;
  }

  elapsedMs(): number {
    return T0 + 3_600_000;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    await new Promise((resolve) => setImmediate(resolve));
    this.turns++;
    if (this.slept.filter((wait) => wait > 0).length > this.#days) this.#ending.abort();
  }
}

/** Packs until there is nothing more to do; says how long it has waited, in the order of waiting. */
async function packAll(
  buffer: SampleBuffer,
  options: Partial<PackingOptions> = {},
  { days = 1, onPacked = (_clock: WorkdayClock): unknown => undefined } = {},
): Promise<WorkdayClock> {
  const ending = new AbortController();
  const clock = new WorkdayClock(ending, days);
  const { log } = memoryLog();
  const targets = new TargetKeys(buffer);
  await packBacklog(
    { ...PACKING, ...options },
    {
      buffer,
      targets,
      clock,
      log,
      backlogEnd: () => Number.MAX_SAFE_INTEGER,
      onPacked: () => onPacked(clock),
    },
    ending.signal,
  );
  return clock;
}

const SERIES = 5;

/** Appends a segment: samples of all series, one after another, with values that do not compress. */
function append(buffer: SampleBuffer, samples: number, second: number): void {
  const columns = new SampleColumns();
  for (let at = 0; at < samples; at++) {
    const low = Math.imul(second * samples + at + 1, 0x9e3779b1) >>> 0;
    columns.push(at % SERIES, T0 + second * 1000 + at, low, (low >>> 1) | 0x40000000);
  }
  const isFirst = buffer.dictionary.length === 0;
  const entries = seriesEntries('a', 'b', 'c', 'd', 'e');
  const newEntries = isFirst ? { newEntries: { firstId: 0, entries } } : {};
  expect(buffer.append([{ tenant: '', columns, ...newEntries }])).toBeUndefined();
}

/** `series timestamp bits` of all samples in packs; those of each series in their order. */
function packed(buffer: SampleBuffer): string[] {
  const columns = new SampleColumns();
  for (const pack of buffer.packs('')) {
    const body = buffer.readPack(pack)!;
    decodePack(body, { ...pack, idsMax: SERIES }, columns);
  }
  const rows = Array.from({ length: columns.count }, (_, row) => {
    const [low, high] = columns.valueBits.subarray(row * 2, row * 2 + 2);
    return { id: columns.ids[row]!, text: `${columns.timestamps[row]! - T0} ${high} ${low}` };
  });
  const bySeries = Map.groupBy(rows, ({ id }) => id);
  return [...bySeries.keys()]
    .sort()
    .flatMap((id) => bySeries.get(id)!.map(({ text }) => `${id} ${text}`));
}

describe('a backlog', () => {
  test('becomes packs with every sample in it, bit for bit and each series in its order', async () => {
    const { buffer } = openBuffer(dataDir, 'all');
    for (let second = 0; second < 20; second++) append(buffer, 100, second);
    await packAll(buffer, { samplesMax: 450 });
    expect(buffer.packs('').map(({ samples }) => samples)).toEqual([400, 400, 400, 400, 400]);
    expect(buffer.unpackedSamples('')).toBe(0);
    const all = packed(buffer);
    expect(all).toHaveLength(2000);
    expect(all.slice(0, 2)).toEqual([
      expect.stringMatching(/^0 0 /),
      expect.stringMatching(/^0 5 /),
    ]);
    const { buffer: later } = openBuffer(workspace.subfolder('again'), 'all');
    for (let second = 0; second < 20; second++) append(later, 100, second);
    await packAll(later);
    expect(later.packs('')).toHaveLength(1);
    expect(packed(later)).toEqual(all);
    later.close();
    buffer.close();
  });

  test('that does not compress becomes packs that a narrow link can carry', async () => {
    const { buffer } = openBuffer(dataDir, 'noise');
    for (let second = 0; second < 8; second++) append(buffer, 20_000, second);
    await packAll(buffer, { bytesMax: 150_000 });
    const packs = buffer.packs('');
    expect(packs.length).toBeGreaterThan(1);
    expect(buffer.unpackedSamples('')).toBe(0);
    // One section more than the limit at most.
    for (const { bytes } of packs) expect(bytes).toBeLessThan(2 * 150_000);
    expect(packed(buffer)).toHaveLength(160_000);
    buffer.close();
  });

  test('is packed while others have their turns: after each section, and after each pack', async () => {
    const { buffer } = openBuffer(dataDir, 'turns');
    for (let second = 0; second < 4; second++) append(buffer, 25_000, second);
    const whole = await packAll(buffer, { bytesMax: 1e9 });
    expect(whole.slept.filter((ms) => ms === 0).length).toBeGreaterThanOrEqual(4);

    const storedAtTurn: number[] = [];
    for (let second = 4; second < 12; second++) append(buffer, 10, second);
    const onPacked = (clock: WorkdayClock) => storedAtTurn.push(clock.turns);
    await packAll(buffer, { samplesMax: 20, samplesPerSeriesMin: 0 }, { onPacked });
    expect(storedAtTurn.length).toBeGreaterThanOrEqual(3);
    expect(new Set(storedAtTurn).size).toBe(storedAtTurn.length);
    buffer.close();
  });

  test('that cannot be stored as packs is tried ever more rarely, and stays as it is', async () => {
    const { buffer } = openBuffer(dataDir, 'full');
    append(buffer, 10, 0);
    failingDisk();
    const { slept } = await packAll(buffer, { checkEveryMs: 1000 }, { days: 9 });
    const waits = slept.filter((ms) => ms > 0);
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 64_000, 64_000, 64_000]);
    vi.restoreAllMocks();
    expect(buffer.unpackedSamples('')).toBe(10);
    buffer.close();
  });
});

describe('a damaged segment', () => {
  test.each([
    ['epoch', 'UPDATE segments SET epoch = 77 WHERE id = ?'],
    ['body', "UPDATE segments SET body = x'00' WHERE id = ?"],
  ])('in its %s is set aside on the way, and the others are packed', async (_, sql) => {
    const { buffer: before } = openBuffer(dataDir, 'one');
    for (let second = 0; second < 6; second++) append(before, 10, second);
    before.close();
    const database = openDatabase(dataDir);
    for (const id of [1, 4]) database.prepare(sql).run(id);
    database.close();
    const { buffer } = openBuffer(dataDir, 'two');
    await packAll(buffer, {}, { days: 4 });
    expect(buffer.losses.samples.damaged).toBe(20);
    expect(buffer.unpackedSamples('')).toBe(0);
    const seconds = new Set(
      packed(buffer).map((row) => Math.floor(Number(row.split(' ')[1]) / 1000)),
    );
    expect([...seconds]).toEqual([1, 2, 4, 5]);
    buffer.close();
  });
});

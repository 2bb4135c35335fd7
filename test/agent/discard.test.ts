import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { discard } from '../../agent/discard.ts';
import type { DiscardRequest } from '../../agent/discard-request.ts';
import { Parking } from '../../agent/parking.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  type OpenBuffer,
  openBuffer,
  openDatabase,
  StillClock,
  samplesOf,
  seriesEntries,
  T0,
} from './buffer-fixture.ts';
import { ALL, append, failingDisk, pack, packOf, secondsIn, secondsOf } from './packs-fixture.ts';

let workspace: Workspace;
let dataDir: string;
let opened: OpenBuffer;
let buffer: OpenBuffer['buffer'];

/** A clock on which nothing lasts; `turns` is what others do in between. */
class TurnsClock extends StillClock {
  readonly #turn: () => void;

  constructor(turn: () => void = () => {}) {
    super();
    this.#turn = turn;
  }

  override async sleep(): Promise<void> {
    this.#turn();
  }
}

function reopen(seed: string): void {
  buffer.close();
  opened = openBuffer(dataDir, seed);
  buffer = opened.buffer;
}

beforeEach(() => {
  workspace = new Workspace('discard');
  dataDir = workspace.subfolder('data');
  opened = openBuffer(dataDir, 'one');
  buffer = opened.buffer;
  const newEntries = { firstId: 0, entries: seriesEntries('a') };
  // Seconds 0, 10 and 20 in one segment.
  const columns = samplesOf(0, T0, T0 + 10_000, T0 + 20_000);
  buffer.append([{ tenant: '', columns, newEntries }]);
});
afterEach(async () => {
  vi.restoreAllMocks();
  buffer.close();
  await workspace.close();
});

/** Discards seconds behind T0, both included. */
function discardSeconds(
  from: number,
  to: number,
  more: Partial<DiscardRequest> = {},
  clock = new TurnsClock(),
) {
  const [fromMs, toMs] = [T0 + from * 1000, T0 + to * 1000];
  return discard(
    { tenant: '', fromMs, toMs, isParked: false, isDryRun: false, ...more },
    { buffer, targets: new TargetKeys(buffer), clock, ended: () => undefined },
  );
}

/** Parks what of the segments lies before this second. */
function parkBefore(second: number): void {
  const window = { oldest: T0 + second * 1000, newest: Number.POSITIVE_INFINITY };
  const deps = { buffer, targets: new TargetKeys(buffer), clock: new StillClock() };
  new Parking({ ...deps, log: memoryLog().log }).parkSegments(buffer.read('', 1000), window);
  buffer.pin('', undefined);
}

const parked = () => buffer.parkedPacks.map(({ oldest, newest }) => [oldest - T0, newest - T0]);
const inPacks = () =>
  buffer.packs('').map((head) => {
    const seconds = secondsIn(buffer, head);
    buffer.unpinPack(head);
    return seconds;
  });
function inSegments(): number[] {
  const seconds = secondsOf(buffer.read('', 1000, (buffer.packs('').at(-1)?.lastId ?? 0) + 1));
  buffer.pin('', undefined);
  return seconds;
}

describe('samples of a time range', () => {
  test('leave a segment, which keeps its place and position, and the rest is answered for', async () => {
    const [before] = buffer.read('', 10);
    buffer.pin('', undefined);
    expect(await discardSeconds(5, 15)).toEqual({
      samples: 1,
      oldest: T0 + 10_000,
      newest: T0 + 10_000,
      onTheirWay: 0,
      unreadable: 0,
    });
    const [after] = buffer.read('', 10);
    expect([after!.run, after!.sequence, after!.id]).toEqual([
      before!.run,
      before!.sequence,
      before!.id,
    ]);
    expect(inSegments()).toEqual([0, 20]);
    expect(buffer.backlog.get('')).toBe(2);
    expect(buffer.acknowledge('', [{ run: buffer.run, first: 1, last: 1 }])).toBe(2);
    expect(buffer.backlog.get('')).toBe(0);
  });

  test('leave a pack, of which the rest keeps its place and no answered position', async () => {
    append(buffer, 3, 30);
    const whole = pack(buffer, 5);
    expect(await discardSeconds(10, 30)).toMatchObject({ samples: 3 });
    expect(inPacks()).toEqual([[0, 31]]);
    expect(buffer.packs('')[0]).toMatchObject({ id: whole.id, lastId: whole.lastId });
    expect(inSegments()).toEqual([32]);
    // What was answered for of the whole says nothing of the rest.
    expect(buffer.acknowledge('', whole.positions)).toBe(0);
    expect(buffer.backlog.get('')).toBe(3);
    expect(buffer.acknowledge('', buffer.packs('')[0]!.positions)).toBe(2);
  });

  test('are all of what lies within it, however many segments and packs that are', async () => {
    append(buffer, 100, 30);
    pack(buffer, 50);
    append(buffer, 5, 200, 'other');
    expect(await discardSeconds(0, 1000)).toMatchObject({ samples: 103, unreadable: 0 });
    expect([inPacks(), inSegments()]).toEqual([[], []]);
    expect([buffer.backlog.get(''), buffer.backlog.get('other')]).toEqual([0, 5]);
  });

  test.each([true, false])(
    'are those that are parked, or those that are not (parked: %s)',
    async (isParked) => {
      parkBefore(15);
      expect(parked()).toEqual([[0, 10_000]]);
      const { samples } = await discardSeconds(5, 100, { isParked });
      expect(samples).toBe(1);
      expect(parked()).toEqual([isParked ? [0, 0] : [0, 10_000]]);
      expect(inSegments()).toEqual(isParked ? [20] : []);
      expect(buffer.backlog.get('')).toBe(2);
      const [left] = buffer.parkedPacks;
      expect(buffer.release(left!)).toBe(true);
      expect(inPacks()).toEqual([isParked ? [0] : [0, 10]]);
    },
  );

  test('are only counted in a dry run', async () => {
    append(buffer, 3, 30);
    pack(buffer, 5);
    append(buffer, 2, 40);
    const counted = await discardSeconds(10, 40, { isDryRun: true });
    expect([inPacks(), inSegments()]).toEqual([[[0, 10, 20, 30, 31]], [32, 40, 41]]);
    expect(buffer.backlog.get('')).toBe(8);
    expect(await discardSeconds(10, 40)).toEqual(counted);
    expect(counted).toMatchObject({ samples: 6, oldest: T0 + 10_000, newest: T0 + 40_000 });
  });

  test('that wait for an answer are left alone, and so delivered', async () => {
    append(buffer, 2, 30);
    const head = pack(buffer, 4);
    buffer.readPack(head);
    append(buffer, 1, 40);
    buffer.read('', 1000, head.lastId + 1);
    const { samples, onTheirWay } = await discardSeconds(10, 40);
    expect([samples, onTheirWay]).toEqual([0, 5]);
    // It is pinned as before: a second one finds the same.
    expect(await discardSeconds(10, 40)).toMatchObject({ samples: 0, onTheirWay: 5 });
    expect(buffer.acknowledge('', head.positions)).toBe(4);
  });

  test('are not put back by a pack that was begun before', async () => {
    append(buffer, 2, 30);
    const segments = buffer.packable('', ALL);
    const row = packOf(buffer, segments);
    await discardSeconds(10, 10);
    expect(buffer.storePack(segments, row)).toBe(false);
    expect(inSegments()).toEqual([0, 20, 30, 31]);
  });

  test('do not escape by becoming a pack meanwhile', async () => {
    append(buffer, 40, 30);
    let turns = 0;
    const clock = new TurnsClock(() => {
      if (turns++ === 0) pack(buffer, 1000);
    });
    expect(await discardSeconds(0, 1000, {}, clock)).toMatchObject({ samples: 43 });
    expect(buffer.backlog.get('')).toBe(0);
  });

  test('that become a pack meanwhile are not counted twice', async () => {
    append(buffer, 40, 30);
    let turns = 0;
    const clock = new TurnsClock(() => {
      if (turns++ === 0) pack(buffer, 1000);
    });
    const { samples } = await discardSeconds(0, 1000, { isDryRun: true }, clock);
    expect(samples).toBeGreaterThan(0);
    expect(samples).toBeLessThanOrEqual(43);
  });

  test('that arrive meanwhile stay', async () => {
    append(buffer, 40, 30);
    let turns = 0;
    const clock = new TurnsClock(() => {
      if (turns++ === 0) append(buffer, 1, 100);
    });
    expect(await discardSeconds(0, 1000, {}, clock)).toMatchObject({ samples: 43 });
    expect(inSegments()).toEqual([100]);
  });
});

describe('what was discarded', () => {
  const told = () =>
    opened.lines.filter(({ reason }) => reason === 'discarded').map(({ samples }) => samples);

  test('is counted by tenant, once, also by the next process where nobody has told it', async () => {
    append(buffer, 3, 30, 'other');
    await discardSeconds(5, 15);
    await discardSeconds(20, 20);
    await discardSeconds(0, 31, { tenant: 'other' });
    reopen('two');
    expect(buffer.losses.samples).toMatchObject({ discarded: 0, vanished: 0, damaged: 0 });
    buffer.tellDiscards();
    expect([buffer.losses.samples.discarded, told()]).toEqual([4, [2, 2]]);
    buffer.tellDiscards();
    expect(buffer.losses.samples.discarded).toBe(4);
    reopen('three');
    buffer.tellDiscards();
    expect([buffer.losses.samples.discarded, told()]).toEqual([0, []]);
    expect([buffer.backlog.get(''), buffer.backlog.get('other')]).toEqual([1, 1]);
  });

  test('is neither lost nor there after a power cut, and was counted', async () => {
    append(buffer, 5, 30);
    pack(buffer, 6);
    await discardSeconds(10, 33);
    reopen('two');
    expect(buffer.losses.samples).toMatchObject({ vanished: 0, damaged: 0 });
    expect([inPacks(), inSegments(), buffer.backlog.get('')]).toEqual([[[0]], [34], 2]);
  });
});

describe('what is left', () => {
  test.each(['segments', 'packs'] as const)('in %s is missed when it vanishes', async (table) => {
    if (table === 'packs') pack(buffer, 3);
    await discardSeconds(5, 15);
    buffer.close();
    const database = openDatabase(dataDir);
    database.exec(`DELETE FROM ${table}`);
    database.close();
    opened = openBuffer(dataDir, 'two');
    buffer = opened.buffer;
    expect(buffer.losses.samples.vanished).toBe(2);
  });
});

describe('discarding', () => {
  test('says that the disk takes nothing, and has changed nothing', async () => {
    append(buffer, 2, 30);
    pack(buffer, 4);
    append(buffer, 1, 40);
    failingDisk();
    const { problem, samples } = await discardSeconds(0, 100);
    expect([problem, samples]).toEqual(['data_dir takes nothing now: disk_full', 0]);
    vi.restoreAllMocks();
    expect([inPacks(), inSegments()]).toEqual([[[0, 10, 20, 30]], [31, 40]]);
    expect(buffer.backlog.get('')).toBe(6);
    reopen('two');
    buffer.tellDiscards();
    expect(buffer.losses.samples.discarded).toBe(0);
  });

  test('passes over a pack that this version cannot read, and says so', async () => {
    append(buffer, 2, 30);
    const segments = buffer.packable('', { ...ALL, samplesMax: 4 });
    buffer.storePack(segments, { ...packOf(buffer, segments), format: 99 });
    expect(await discardSeconds(0, 100)).toMatchObject({ samples: 1, unreadable: 1 });
    expect(buffer.backlog.get('')).toBe(4);
  });

  test('leaves files alone that somebody else has changed, and says so', async () => {
    const database = openDatabase(dataDir);
    database.exec('DELETE FROM segments');
    database.close();
    const { problem, samples } = await discardSeconds(0, 100);
    expect(samples).toBe(0);
    expect(problem).toMatch(/are damaged/);
  });

  test('ends when the buffer is not to be used any more', async () => {
    append(buffer, 40, 30);
    const request = { tenant: '', fromMs: 0, toMs: T0 * 2, isParked: false, isDryRun: false };
    const { problem, samples } = await discard(request, {
      buffer,
      targets: new TargetKeys(buffer),
      clock: new TurnsClock(),
      ended: () => 'the agent is stopping',
    });
    expect(problem).toBe('the agent is stopping');
    expect(buffer.backlog.get('')).toBe(43 - samples);
    expect(samples).toBeLessThan(43);
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { Workspace } from '../tools/workspace.ts';
import { noise, openBuffer, openDatabase, T0 } from './buffer-fixture.ts';
import {
  ALL,
  append,
  failingDisk,
  pack,
  packOf,
  type SampleBuffer,
  secondsIn,
  secondsOf,
} from './packs-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('buffer-packs');
  dataDir = workspace.subfolder('data');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await workspace.close();
});

describe('a pack that is not what was written', () => {
  const body = "body = substr(body, 1, 5) || x'ff' || substr(body, 7)";
  const damages: [string, string][] = [
    ['body', body],
    ['tenant', "tenant = 'other'"],
    ['epoch', 'epoch = epoch + 1'],
    ['positions', "positions = replace(positions, ':', ';')"],
    ['number of samples', 'samples = samples + 1'],
    ['format', 'format = 7'],
    ['place', 'id = id - 1'],
    ['end', 'last_id = last_id + 1'],
  ];

  test.each(damages)('in its %s is set aside and accounted for, and the rest goes on', (_, sql) => {
    const { buffer: before } = openBuffer(dataDir, 'one');
    append(before, 6);
    pack(before, 2);
    pack(before, 2);
    before.close();
    const database = openDatabase(dataDir);
    database.exec(`UPDATE packs SET ${sql} WHERE id = 3`);

    const { buffer, lines } = openBuffer(dataDir, 'two');
    const packs = [...buffer.backlog.keys()].flatMap((tenant) => buffer.packs(tenant));
    expect(packs.flatMap((head) => secondsIn(buffer, head) ?? [])).toEqual([0, 1]);
    expect(buffer.losses.samples).toEqual({ ...emptyLosses().samples, damaged: 2 });
    const iso = (ms: number): string => new Date(ms).toISOString();
    // The witness is certain of the number and of a wide range; the row may be right about its own.
    const isLikely = !sql.includes('samples');
    expect(lines).toContainEqual(
      expect.objectContaining({
        reason: 'damaged',
        oldest: iso(T0),
        newest: iso(T0 + 5000),
        ...(isLikely ? { likelyOldest: iso(T0 + 2000), likelyNewest: iso(T0 + 3000) } : {}),
      }),
    );
    const kept = database.prepare('SELECT count(*) AS rows FROM damaged_packs').get();
    expect(kept).toEqual({ rows: 1 });
    expect(secondsOf(buffer.read('', 10, 5))).toEqual([4, 5]);
    const waiting = buffer.backlog.values().reduce((sum, samples) => sum + samples, 0);
    expect(waiting).toBe(4);
    database.close();
    buffer.close();
  });

  test('is not taken for answered because its positions cannot be read', () => {
    const { buffer: before } = openBuffer(dataDir, 'one');
    append(before, 3);
    const { positions } = pack(before, 2);
    before.close();
    const database = openDatabase(dataDir);
    database.exec("UPDATE packs SET positions = ''");
    database.close();
    const { buffer } = openBuffer(dataDir, 'two');
    expect(buffer.acknowledge('', [{ ...positions[0]!, first: 3, last: 3 }])).toBe(1);
    expect(buffer.losses.samples.damaged).toBe(2);
    buffer.close();
  });
});

describe('a limit', () => {
  test('of age takes segments and packs in the order of the sample log', () => {
    const { buffer, clock } = openBuffer(dataDir, 'age', { ageMaxMs: 60_000 });
    append(buffer, 1);
    append(buffer, 2, 1, 'other');
    pack(buffer, 2, 'other');
    clock.ms += 60_000;
    append(buffer, 2, 3);
    clock.ms += 1;
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(3);
    expect(buffer.packs('other')).toEqual([]);
    expect(buffer.backlog).toEqual(
      new Map([
        ['', 2],
        ['other', 0],
      ]),
    );
    buffer.close();
  });

  test('of age takes a pack when its newest segment is too old', () => {
    const { buffer, clock } = openBuffer(dataDir, 'age', { ageMaxMs: 60_000 });
    append(buffer, 1);
    clock.ms += 10_000;
    append(buffer, 1, 1);
    pack(buffer, 2);
    clock.ms += 60_000;
    buffer.housekeep();
    expect(buffer.packs('')).toHaveLength(1);
    clock.ms += 1;
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(2);
    buffer.close();
  });

  const bytesMax = 2 ** 20;
  const noisy = (buffer: SampleBuffer) =>
    buffer.append([{ tenant: '', columns: noise(5000, 'x') }]);

  test('of bytes takes one pack, then looks whether that is enough', () => {
    const { buffer } = openBuffer(dataDir, 'bytes', { bytesMax, whenFull: 'drop_oldest' });
    for (let round = 0; round < 8; round++) {
      noisy(buffer);
      pack(buffer, 5000);
    }
    while (buffer.losses.samples.bytes === 0) expect(noisy(buffer)).toBeUndefined();
    expect(buffer.losses.samples.bytes).toBe(5000);
    expect(buffer.packs('').map(({ id }) => id)).toEqual([2, 3, 4, 5, 6, 7, 8]);
    buffer.close();
  });

  test('never takes a pack that waits for its answer', () => {
    const { buffer } = openBuffer(dataDir, 'pin', { bytesMax, whenFull: 'drop_oldest' });
    noisy(buffer);
    const sent = pack(buffer, 5000);
    expect(buffer.readPack(sent)).toBeDefined();
    for (let round = 0; round < 30; round++) noisy(buffer);
    expect(buffer.losses.samples.bytes).toBeGreaterThan(0);
    expect(buffer.packs('')).toEqual([sent]);
    buffer.unpinPack(sent);
    while (buffer.packs('').length > 0) noisy(buffer);
    expect(buffer.backlog.get('')! + buffer.losses.samples.bytes).toBeGreaterThan(155_000 - 1);
    buffer.close();
  });

  test('that is reached keeps a pack from being stored, and nothing changes', () => {
    const { buffer } = openBuffer(dataDir, 'full');
    append(buffer, 3);
    const segments = buffer.packable('', ALL);
    const row = packOf(buffer, segments);
    failingDisk();
    expect(buffer.storePack(segments, row)).toBe(false);
    vi.restoreAllMocks();
    expect(secondsOf(buffer.read('', 10))).toEqual([0, 1, 2]);
    buffer.close();
  });
});

describe('while the disk does not let go of what was answered for', () => {
  test('a pack is not read, and so not sent, again', () => {
    const { buffer } = openBuffer(dataDir, 'pack');
    append(buffer, 2);
    const head = pack(buffer, 2);
    failingDisk();
    expect(buffer.acknowledge('', head.positions)).toBe(0);
    expect(buffer.readPack(head)).toBeUndefined();
    expect(buffer.losses.samples.damaged).toBe(0);
    vi.restoreAllMocks();
    expect(buffer.readPack(head)).toBeUndefined();
    expect(buffer.packs('')).toEqual([]);
    expect(buffer.backlog.get('')).toBe(0);
    expect(buffer.losses.samples.damaged).toBe(0);
    buffer.close();
  });

  test('segments do not become a pack, which would be answered for later than they', () => {
    const { buffer } = openBuffer(dataDir, 'segments');
    append(buffer, 3);
    const segments = buffer.packable('', ALL);
    const row = packOf(buffer, segments);
    failingDisk();
    buffer.acknowledge('', [{ run: buffer.run, first: 1, last: 1 }]);
    expect(buffer.packable('', ALL)).toEqual([]);
    vi.restoreAllMocks();
    expect(buffer.storePack(segments, row)).toBe(false);
    expect(secondsOf(buffer.read('', 10))).toEqual([1, 2]);
    buffer.close();
  });
});

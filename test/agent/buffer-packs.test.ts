import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import type { PackLimits } from '../../agent/buffer/pack-selection.ts';
import type { PackHead, PackPart, PackRow } from '../../agent/buffer/pack-table.ts';
import type { SegmentHead } from '../../agent/buffer/segment-table.ts';
import { PackMaker } from '../../agent/encode/pack-maker.ts';
import { decodePack, PackEncoder } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { timeRange } from '../../proto/time-range.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  noise,
  type OpenBuffer,
  openBuffer,
  openDatabase,
  powerCut,
  rowsOf,
  samplesOf,
  seriesEntries,
  T0,
} from './buffer-fixture.ts';

type SampleBuffer = OpenBuffer['buffer'];

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

/** Everything that is stored is a backlog. */
const ALL: PackLimits = {
  samplesMax: 1000,
  storedBefore: Number.POSITIVE_INFINITY,
  backlogEnd: Number.POSITIVE_INFINITY,
};

/** Appends segments of one sample each, a second apart from `from` on. */
function append(buffer: SampleBuffer, segments: number, from = 0, tenant = ''): void {
  for (let at = from; at < from + segments; at++) {
    buffer.append([{ tenant, columns: samplesOf(0, T0 + at * 1000) }]);
  }
}

/** The pack of stored segments, as packing.ts makes it. */
function packOf(buffer: SampleBuffer, segments: readonly SegmentHead[]): PackRow {
  const maker = new PackMaker(() => 0);
  for (const head of segments) maker.add(buffer.readSegment(head)!);
  const [first, last] = [segments[0]!, segments.at(-1)!];
  const { tenant, epoch, oldest } = first;
  const { storedAt, newest } = last;
  const where = {
    id: first.id,
    lastId: last.id,
    firstSample: 0,
    tenant,
    epoch,
    storedAt,
    oldest,
    newest,
  };
  return { ...maker.finish(), ...where };
}

/** Packs the oldest `samplesMax` samples of a tenant. */
function pack(buffer: SampleBuffer, samplesMax: number, tenant = ''): PackHead {
  const segments = buffer.packable(tenant, { ...ALL, samplesMax });
  expect(buffer.storePack(segments, packOf(buffer, segments))).toBe(true);
  return buffer.packs(tenant).find(({ id }) => id === segments[0]!.id)!;
}

/** Samples of these seconds behind T0, as a part of a pack that was split. */
function partOf(...seconds: number[]): PackPart {
  const columns = samplesOf(0, ...seconds.map((at) => T0 + at * 1000));
  const format = 2;
  const encoder = new PackEncoder(sampleFormats.get(format)!, () => 0);
  encoder.add(columns);
  return { samples: columns.count, format, ...timeRange(columns), body: encoder.finish() };
}

/** Seconds behind T0 of the samples in a pack. */
function secondsIn(buffer: SampleBuffer, head: PackHead): number[] | undefined {
  const body = buffer.readPack(head);
  if (body === undefined) return undefined;
  const columns = new SampleColumns();
  decodePack(body, { ...head, idsMax: 100 }, columns);
  return Array.from(columns.timestamps.subarray(0, columns.count), (ms) => (ms - T0) / 1000);
}

const secondsOf = (segments: Parameters<typeof rowsOf>[0]) =>
  rowsOf(segments).map(([, timestamp]) => (timestamp! - T0) / 1000);

describe('what is packed', () => {
  const selected = (buffer: SampleBuffer, limits: Partial<PackLimits> = {}) =>
    buffer.packable('', { ...ALL, backlogEnd: 0, ...limits }).map(({ id }) => id);

  test('is a full pack of the oldest segments, and nothing that could still grow', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    append(buffer, 3);
    expect(selected(buffer, { samplesMax: 3 })).toEqual([]);
    append(buffer, 1, 3);
    expect(selected(buffer, { samplesMax: 3 })).toEqual([1, 2, 3]);
    expect(selected(buffer, { samplesMax: 4 })).toEqual([]);
    buffer.close();
  });

  test('spans at most ten minutes', () => {
    const { buffer } = openBuffer(dataDir, 'span');
    for (const minute of [0, 5, 10, 11, 30, 31]) append(buffer, 1, minute * 60);
    expect(selected(buffer)).toEqual([1, 2, 3]);
    pack(buffer, 3);
    expect(selected(buffer)).toEqual([4]);
    buffer.close();
  });

  test('is of one epoch', () => {
    const { buffer } = openBuffer(dataDir, 'epoch');
    append(buffer, 2);
    buffer.openEpoch();
    append(buffer, 1, 2);
    expect(selected(buffer)).toEqual([1, 2]);
    buffer.close();
  });

  test('has waited, for what is fresh may soon be sent as it is', () => {
    const { buffer, clock } = openBuffer(dataDir, 'fresh');
    append(buffer, 2);
    clock.ms += 1000;
    append(buffer, 2, 2);
    const limits = { samplesMax: 3, storedBefore: T0 };
    expect(selected(buffer, limits)).toEqual([]);
    expect(selected(buffer, { ...limits, storedBefore: T0 + 1000 })).toEqual([1, 2, 3]);
    buffer.close();
  });

  test('is, before the end of a backlog, whatever there is', () => {
    const { buffer } = openBuffer(dataDir, 'backlog');
    append(buffer, 4);
    expect(selected(buffer, { backlogEnd: 3, storedBefore: 0 })).toEqual([1, 2]);
    buffer.close();
  });

  test('is not in a batch, and lies side by side', () => {
    const { buffer } = openBuffer(dataDir, 'pinned');
    append(buffer, 7);
    buffer.read('', 2);
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([3, 4, 5, 6, 7]);
    buffer.read('', 1, 4);
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([1, 2, 3]);
    buffer.unpin('');
    // A pack of the third and fourth alone: the others must not change places with it.
    const middle = buffer.packable('', ALL).slice(2, 4);
    buffer.storePack(middle, packOf(buffer, middle));
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([1, 2]);
    buffer.close();
  });

  test('of one tenant has nothing of another', () => {
    const { buffer } = openBuffer(dataDir, 'tenants');
    append(buffer, 2);
    append(buffer, 1, 2, 'other');
    append(buffer, 1, 3);
    const head = pack(buffer, 3);
    expect(head).toMatchObject({ id: 1, lastId: 4, samples: 3, tenant: '' });
    expect(buffer.packs('other')).toEqual([]);
    expect(secondsOf(buffer.read('other', 10))).toEqual([2]);
    buffer.close();
  });
});

describe('a pack', () => {
  test('takes the place of its segments: nothing is read twice, the rest in order', () => {
    const { buffer } = openBuffer(dataDir, 'place');
    append(buffer, 5);
    const head = pack(buffer, 3);
    expect(head).toMatchObject({ id: 1, lastId: 3, samples: 3, oldest: T0, newest: T0 + 2000 });
    expect(head.positions).toMatchObject([{ run: buffer.run, first: 1, last: 3 }]);
    expect(buffer.backlog.get('')).toBe(5);
    expect(buffer.unpackedSamples('')).toBe(2);
    expect(secondsIn(buffer, head)).toEqual([0, 1, 2]);
    // What lies behind the pack is not read as long as the pack is there.
    expect(buffer.read('', 10)).toEqual([]);
    expect(secondsOf(buffer.read('', 10, 4))).toEqual([3, 4]);
    expect(buffer.hasSegmentBefore('', head.id)).toBe(false);
    buffer.close();
  });

  test('survives a power cut, and so does where its samples belong', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    append(buffer, 5);
    const head = pack(buffer, 3);
    const { buffer: later } = openBuffer(powerCut(dataDir), 'two');
    expect(later.packs('')).toEqual([head]);
    expect(later.backlog.get('')).toBe(5);
    expect(later.unpackedSamples('')).toBe(2);
    expect(secondsIn(later, later.packs('')[0]!)).toEqual([0, 1, 2]);
    expect(later.losses.vanishedSegments).toBe(0);
    append(later, 1, 5);
    expect(later.read('', 10, 4).map(({ id }) => id)).toEqual([4, 5, 6]);
    later.close();
    buffer.close();
  });

  test.each<[string, (buffer: SampleBuffer) => void]>([
    [
      'was answered for',
      (buffer) => buffer.acknowledge('', [{ run: buffer.run, first: 2, last: 2 }]),
    ],
    ['is about to be sent', (buffer) => buffer.read('', 1, 2)],
  ])('is not stored when one of its segments %s meanwhile', (_, happen) => {
    const { buffer } = openBuffer(dataDir, 'race');
    append(buffer, 3);
    const segments = buffer.packable('', ALL);
    const row = packOf(buffer, segments);
    happen(buffer);
    expect(buffer.storePack(segments, row)).toBe(false);
    expect(buffer.packs('')).toEqual([]);
    const left = buffer.backlog.get('');
    expect(secondsOf(buffer.read('', 10))).toHaveLength(left!);
    buffer.close();
  });

  test('is answered for only when all of its segments are', () => {
    const { buffer } = openBuffer(dataDir, 'answers');
    append(buffer, 4);
    pack(buffer, 3);
    const { run } = buffer;
    expect(buffer.acknowledge('', [{ run, first: 1, last: 2 }])).toBe(0);
    expect(buffer.acknowledge('', [{ run: run + 1n, first: 1, last: 3 }])).toBe(0);
    expect(buffer.acknowledge('other', [{ run, first: 1, last: 3 }])).toBe(0);
    expect(buffer.packs('')).toHaveLength(1);
    const apart = [
      { run, first: 1, last: 1 },
      { run, first: 2, last: 4 },
    ];
    expect(buffer.acknowledge('', apart)).toBe(4);
    expect(buffer.packs('')).toEqual([]);
    expect(buffer.backlog.get('')).toBe(0);
    const { buffer: later } = openBuffer(powerCut(dataDir), 'later');
    expect(later.packs('')).toEqual([]);
    later.close();
    buffer.close();
  });

  test('keeps the dictionary that its ids refer to, and metadata of when it was stored', () => {
    const { buffer, clock } = openBuffer(dataDir, 'epoch');
    const newEntries = { firstId: 0, entries: seriesEntries('old') };
    buffer.append([{ tenant: '', columns: samplesOf(0, T0), newEntries }]);
    const head = pack(buffer, 1);
    const { epoch } = buffer.dictionary;
    buffer.openEpoch();
    clock.ms += 1000;
    buffer.housekeep();
    expect(buffer.dictionaryOfEpoch(head.epoch).epoch).toBe(epoch);
    buffer.acknowledge('', head.positions);
    buffer.housekeep();
    expect(buffer.dictionaries).toEqual([buffer.dictionary]);
    buffer.close();
  });

  test('is split into packs at its place, with positions of their own', () => {
    const { buffer } = openBuffer(dataDir, 'split');
    append(buffer, 5);
    const whole = pack(buffer, 4);
    const parts = [partOf(0, 1), partOf(2, 3)];
    expect(buffer.replacePack(whole, parts)).toBe(true);
    const [first, second] = buffer.packs('');
    expect(first).toMatchObject({ id: 1, lastId: 4, firstSample: 0 });
    expect(second).toMatchObject({ id: 1, lastId: 4, firstSample: 2 });
    expect(first!.positions).toMatchObject([{ run: buffer.run, first: 6, last: 6 }]);
    expect(second!.positions).toMatchObject([{ run: buffer.run, first: 7, last: 7 }]);
    expect(secondsIn(buffer, second!)).toEqual([2, 3]);
    // What was answered for of the whole says nothing of the parts.
    expect(buffer.acknowledge('', whole.positions)).toBe(0);
    append(buffer, 1, 5);
    expect(buffer.read('', 10, 5).map(({ sequence }) => sequence)).toEqual([5, 8]);
    expect(buffer.replacePack(whole, parts)).toBe(false);
    buffer.close();
  });
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
    expect(buffer.losses.samples.damaged).toBe(sql.includes('samples') ? 3 : 2);
    expect(lines).toContainEqual(
      expect.objectContaining({
        reason: 'damaged',
        oldest: new Date(T0 + 2000).toISOString(),
        newest: new Date(T0 + 3000).toISOString(),
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

/** From now on every transaction fails, as on a full disk. */
function failingDisk(): void {
  vi.spyOn(BufferDatabase.prototype, 'transaction').mockImplementation(() => {
    throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
  });
}

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

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GroupCommit } from '../../agent/buffer/group-commit.ts';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  noise,
  openBuffer,
  openDatabase,
  powerCut,
  rowsOf,
  samplesOf,
  seriesEntries,
  T0,
} from './buffer-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('buffer');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

describe('what was appended', () => {
  test('survives a power cut, in order and bit for bit', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    const newEntries = { firstId: 0, entries: seriesEntries('up', 'down') };
    buffer.append([{ tenant: '', columns: samplesOf(1, T0, T0 + 1), newEntries }]);
    buffer.append([{ tenant: '', columns: samplesOf(0, T0 - 5, T0 - 7, T0 - 6) }]);

    const { buffer: later } = openBuffer(powerCut(dataDir), 'two');
    const segments = later.read('', 1000);
    expect(rowsOf(segments)).toEqual(rowsOf(buffer.read('', 1000)));
    expect(rowsOf(segments).map(([id, timestamp]) => [id, timestamp])).toEqual([
      [1, T0],
      [1, T0 + 1],
      [0, T0 - 5],
      [0, T0 - 7],
      [0, T0 - 6],
    ]);
    expect([...later.dictionary.entries()]).toEqual(seriesEntries('up', 'down').map(bytes));
    expect(later.backlog).toEqual(new Map([['', 5]]));
    expect(later.losses.vanishedSegments).toBe(0);
    buffer.close();
    later.close();
  });

  test('has a position that no other process and no other tenant shares', () => {
    const positions: string[] = [];
    for (const seed of ['one', 'two', 'three']) {
      const { buffer } = openBuffer(dataDir, seed);
      for (let round = 0; round < 3; round++) {
        for (const tenant of ['a', 'b']) buffer.append([{ tenant, columns: samplesOf(0, T0) }]);
      }
      for (const tenant of ['a', 'b']) {
        const all = buffer.read(tenant, 1000);
        positions.push(...all.map(({ run, sequence }) => `${tenant} ${run} ${sequence}`));
        const own = all.filter(({ run }) => BigInt(`0x${run}`) === buffer.run);
        expect(own.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
        buffer.acknowledge(
          tenant,
          all.map(({ run, sequence: at }) => ({ run: BigInt(`0x${run}`), first: at, last: at })),
        );
        buffer.pin(tenant, undefined);
      }
      buffer.close();
    }
    expect(new Set(positions).size).toBe(18);
  });

  test('that came together shares a segment and a commit', async () => {
    const { buffer } = openBuffer(dataDir, 'group');
    let commits = 0;
    const group = new GroupCommit(buffer, () => commits++);
    const added = [1, 2, 3].map((id) => group.add({ tenant: '', columns: samplesOf(id, T0) }));
    expect(await Promise.all(added)).toEqual([undefined, undefined, undefined]);
    expect(commits).toBe(1);
    expect(buffer.read('', 1000).map(({ samples }) => samples)).toEqual([3]);
    buffer.close();
  });

  test('is read in batches that span at most ten minutes', () => {
    const { buffer } = openBuffer(dataDir, 'span');
    for (const minute of [0, 5, 10, 11, 30]) {
      buffer.append([{ tenant: '', columns: samplesOf(0, T0 + minute * 60_000) }]);
    }
    const batches: number[] = [];
    for (let read = buffer.read('', 1000); read.length > 0; read = buffer.read('', 1000)) {
      batches.push(read.length);
      const last = read.at(-1)!.sequence;
      buffer.acknowledge('', [{ run: buffer.run, first: last - read.length + 1, last }]);
    }
    expect(batches).toEqual([3, 1, 1]);
    buffer.close();
  });

  test('is answered for only where run, tenant and sequence fit', () => {
    const { buffer } = openBuffer(dataDir, 'acknowledge');
    for (const tenant of ['a', 'a', 'a', 'b']) {
      buffer.append([{ tenant, columns: samplesOf(0, T0) }]);
    }
    const { run } = buffer;
    expect(buffer.acknowledge('a', [{ run: run + 1n, first: 1, last: 9 }])).toBe(0);
    expect(buffer.acknowledge('a', [{ run, first: 1, last: 2 }])).toBe(2);
    expect(buffer.acknowledge('a', [{ run, first: 1, last: 2 }])).toBe(0);
    expect(Object.fromEntries(buffer.backlog)).toEqual({ a: 1, b: 1 });
    buffer.close();
  });
});

describe('a full buffer', () => {
  const bytesMax = 2 ** 20;
  /** About 80 kB each. */
  const append = (columns = noise(10_000, 'noise'), tenant = '') => [{ tenant, columns }];

  test('rejects what is new and keeps what it has, until something was answered for', () => {
    const { buffer } = openBuffer(dataDir, 'reject', { bytesMax });
    let stored = 0;
    while (buffer.append(append()) === undefined) stored++;
    expect(stored).toBeGreaterThan(5);
    expect(buffer.append(append())).toBe('buffer_full');
    expect(buffer.usedBytes()).toBeLessThanOrEqual(bytesMax);
    expect(buffer.backlog.get('')).toBe(stored * 10_000);

    buffer.acknowledge('', [{ run: buffer.run, first: 1, last: 2 }]);
    expect(buffer.append(append())).toBeUndefined();
    expect(buffer.losses.samples).toEqual(emptyLosses().samples);
    buffer.close();
  });

  test('drops the oldest where that is wanted, and accounts for it', () => {
    const { buffer, lines } = openBuffer(dataDir, 'drop', { bytesMax, whenFull: 'drop_oldest' });
    for (let sequence = 1; sequence <= 40; sequence++) {
      expect(buffer.append(append())).toBeUndefined();
    }
    const kept = buffer.read('', 1e9).map(({ sequence }) => sequence);
    expect(kept.at(-1)).toBe(40);
    expect(kept).toEqual(kept.map((_, index) => 41 - kept.length + index));
    expect(buffer.losses.samples.bytes).toBe((40 - kept.length) * 10_000);
    const counted = lines.filter(({ reason }) => reason === 'bytes');
    expect(counted.reduce((sum, line) => sum + Number(line['samples']), 0)).toBe(
      buffer.losses.samples.bytes,
    );
    expect(counted[0]).toMatchObject({ oldest: new Date(T0).toISOString() });
    buffer.close();
  });

  test('never drops a segment that waits for its answer', () => {
    const { buffer } = openBuffer(dataDir, 'pin', { bytesMax, whenFull: 'drop_oldest' });
    buffer.append(append());
    buffer.append(append());
    const sent = buffer.read('', 20_000);
    for (let round = 0; round < 40; round++) buffer.append(append());
    expect(buffer.losses.samples.bytes).toBeGreaterThan(0);
    expect(buffer.acknowledge('', [{ run: buffer.run, first: 1, last: 2 }])).toBe(20_000);
    expect(sent.map(({ sequence }) => sequence)).toEqual([1, 2]);
    buffer.close();
  });

  test('rejects when everything in it waits for its answer', () => {
    const { buffer } = openBuffer(dataDir, 'all', { bytesMax, whenFull: 'drop_oldest' });
    for (let round = 0; round < 8; round++) buffer.append(append());
    buffer.read('', 1e9);
    let answer = buffer.append(append());
    for (let round = 0; round < 40 && answer === undefined; round++) {
      answer = buffer.append(append());
      buffer.read('', 1e9);
    }
    expect(answer).toBe('buffer_full');
    buffer.close();
  });

  test('forgets what is older than the operator wants, by the time of storing', () => {
    const { buffer, clock } = openBuffer(dataDir, 'age', { ageMaxMs: 60_000 });
    buffer.append([{ tenant: '', columns: samplesOf(0, T0) }]);
    clock.ms += 60_000;
    buffer.append([{ tenant: '', columns: samplesOf(0, 1, 2) }]);
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(0);
    clock.ms += 1;
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(1);
    expect(rowsOf(buffer.read('', 1000)).map(([, timestamp]) => timestamp)).toEqual([1, 2]);
    buffer.close();
  });

  test('leaves the rest of the disk alone', () => {
    const { buffer } = openBuffer(dataDir, 'watermark', { freeDiskBytesMin: 2 ** 60 });
    expect(buffer.append(append())).toBe('disk_full');
    expect(buffer.backlog.get('')).toBeUndefined();
    buffer.close();
  });

  test('keeps new entries in mind and writes them with the next commit', () => {
    const { buffer } = openBuffer(dataDir, 'entries', { bytesMax });
    let stored = 0;
    while (buffer.append(append()) === undefined) stored++;
    const first = { firstId: 0, entries: seriesEntries('up') };
    const refused = [{ tenant: '', columns: noise(10_000, 'x'), newEntries: first }];
    expect(buffer.append(refused)).toBe('buffer_full');
    expect(buffer.dictionary.length).toBe(0);

    buffer.acknowledge('', [{ run: buffer.run, first: 1, last: stored }]);
    const second = { firstId: 1, entries: seriesEntries('down') };
    buffer.append([{ tenant: '', columns: samplesOf(1, T0), newEntries: second }]);
    expect([...buffer.dictionary.entries()]).toEqual(seriesEntries('up', 'down').map(bytes));
    buffer.close();
  });
});

test('while another process holds the database, what was answered for is not sent again', () => {
  const { buffer } = openBuffer(dataDir, 'busy');
  buffer.append([{ tenant: '', columns: samplesOf(0, T0) }]);
  const other = openDatabase(dataDir);
  other.exec('BEGIN IMMEDIATE');
  expect(buffer.acknowledge('', [{ run: buffer.run, first: 1, last: 1 }])).toBe(0);
  other.exec('ROLLBACK');
  buffer.append([{ tenant: '', columns: samplesOf(0, T0 + 1) }]);
  expect(rowsOf(buffer.read('', 1000)).map(([, timestamp]) => timestamp)).toEqual([T0 + 1]);
  expect(buffer.backlog.get('')).toBe(1);
  other.close();
  buffer.close();
});

/** SQLite hands entries out as Buffer. */
function bytes(entry: Uint8Array): Buffer {
  return Buffer.from(entry);
}

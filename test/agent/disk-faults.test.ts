import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { DictionaryTable } from '../../agent/buffer/dictionary-table.ts';
import { PackTable } from '../../agent/buffer/pack-table.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import { systemError, whileFaulty } from '../tools/faulty-file-system.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';
import {
  openLooking,
  sqliteError,
  timesIn,
  timesOfNextLife,
  whileThrowing,
} from './disk-faults-fixture.ts';

vi.mock('node:fs', async (importReal) => {
  const { faultyFileSystem } = await import('../tools/faulty-file-system.ts');
  return faultyFileSystem(await importReal());
});

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('disk-faults');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

describe('a fault of the disk is an outcome of an append', () => {
  const codes = ['EIO', 'ESTALE', 'EACCES', 'ENXIO'];
  const calls = codes.flatMap((code) =>
    (['statSync', 'statfsSync'] as const).map((call) => [call, code, 'disk_failing'] as const),
  );

  test.each([
    ...calls,
    ['statfsSync', 'ENOENT', 'disk_failing'] as const,
    ['statfsSync', 'ENOTDIR', 'disk_failing'] as const,
    ['statfsSync', 'ENOSPC', 'disk_full'] as const,
    ['statfsSync', 'EDQUOT', 'disk_full'] as const,
  ])('%s says %s: %s, nothing is kept, and it goes on afterwards', (call, code, outcome) => {
    const { buffer, append } = openLooking(dataDir);
    const fail = () => {
      throw systemError(code, call);
    };
    whileFaulty(call, fail, () => {
      expect(append(1)).toBe(outcome);
      expect(() => buffer.housekeep()).not.toThrow();
      expect(buffer.acknowledge('b', [{ run: buffer.run, first: 1, last: 1 }])).toBe(0);
      expect(() => buffer.compact()).not.toThrow();
    });
    expect(append(2)).toBeUndefined();
    expect(timesIn(buffer)).toEqual([0, 2]);
    buffer.close();
  });

  test('that comes right behind the commit does not undo it', async () => {
    const { statSync } = await vi.importActual<typeof import('node:fs')>('node:fs');
    const { buffer, append } = openLooking(dataDir);
    // Database and log are looked at before everything, before the transaction and behind it.
    let looks = 0;
    const failLast = (...args: Parameters<typeof statSync>) => {
      if (++looks > 4) throw systemError('EIO', 'stat');
      return statSync(...args);
    };
    whileFaulty('statSync', failLast as () => unknown, () => expect(append(1)).toBeUndefined());
    expect(looks).toBe(5);
    expect(append(2)).toBeUndefined();
    expect(timesIn(buffer)).toEqual([0, 1, 2]);
    buffer.close();
  });

  test.each([
    ['SQLITE_FULL', 'disk_full'],
    ['SQLITE_IOERR_WRITE', 'disk_failing'],
    ['SQLITE_IOERR_FSYNC', 'disk_failing'],
    ['SQLITE_READONLY', 'disk_failing'],
    ['SQLITE_CANTOPEN', 'disk_failing'],
    ['SQLITE_BUSY', 'disk_failing'],
    ['SQLITE_CORRUPT', 'recovering'],
    ['SQLITE_CONSTRAINT_UNIQUE', 'recovering'],
  ])('SQLite says %s: %s', (code, outcome) => {
    const { buffer, append } = openLooking(dataDir);
    whileThrowing(SegmentTable.prototype, 'add', sqliteError(code), () => {
      expect(append(1)).toBe(outcome);
    });
    if (outcome === 'recovering') return expect(timesOfNextLife(dataDir, buffer)).toEqual([0]);
    expect(append(2)).toBeUndefined();
    expect(timesIn(buffer)).toEqual([0, 2]);
    buffer.close();
  });

  test('what was answered for meanwhile is counted once, each answer by itself', () => {
    const { buffer, append } = openLooking(dataDir);
    append(1);
    append(2);
    const counts: [answer: string, samples: number][] = [];
    const answer = (name: string, last: number): number => {
      const range = { run: buffer.run, first: 1, last };
      return buffer.acknowledge('a', [range], (samples) => void counts.push([name, samples]));
    };
    whileThrowing(SegmentTable.prototype, 'removeRange', sqliteError('SQLITE_BUSY'), () => {
      expect(answer('first', 1)).toBe(0);
      expect(counts).toEqual([]);
    });
    expect(answer('second', 3)).toBe(2);
    expect(counts).toEqual([
      ['first', 1],
      ['second', 2],
    ]);
    buffer.close();
  });

  test('what was answered for meanwhile is not evicted for its age instead', () => {
    const { buffer, clock } = openBuffer(dataDir, 'age', { ageMaxMs: 60_000 });
    const newEntries = { firstId: 0, entries: seriesEntries('one') };
    buffer.append([{ tenant: 'a', columns: samplesOf(0, T0), newEntries }]);
    whileThrowing(SegmentTable.prototype, 'removeRange', sqliteError('SQLITE_BUSY'), () => {
      buffer.acknowledge('a', [{ run: buffer.run, first: 1, last: 1 }]);
    });
    clock.ms += 61_000;
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(0);
    expect(buffer.backlog.get('a')).toBe(0);
    buffer.close();
  });

  test('a bug is none', () => {
    const { buffer, append } = openLooking(dataDir);
    whileThrowing(SegmentTable.prototype, 'add', new TypeError('a bug'), () => {
      expect(() => append(1)).toThrow('a bug');
    });
    buffer.close();
  });
});

describe('reading', () => {
  const reads: [keyof SegmentTable, (buffer: SampleBuffer) => unknown, unknown][] = [
    ['stored', (buffer) => buffer.read('a', 1000), []],
    ['heads', (buffer) => buffer.hasSegmentBefore('a', 1), true],
    ['heads', (buffer) => buffer.hasSegmentBehind('a', 0), false],
    [
      'heads',
      (buffer) =>
        buffer.packable('a', { samplesMax: 9, storedBefore: Number.MAX_VALUE, backlogEnd: 9 }),
      [],
    ],
    ['get', (buffer) => buffer.readSegment({ id: 1 }), undefined],
    ['oldest', (buffer) => buffer.oldestTimestamp(), undefined],
  ];

  test.each(reads)(
    '%s on a disk that cannot now finds nothing, and all later',
    (table, read, nothing) => {
      const { buffer } = openLooking(dataDir);
      for (const code of ['SQLITE_BUSY', 'SQLITE_CANTOPEN', 'SQLITE_IOERR_SHMMAP']) {
        whileThrowing(SegmentTable.prototype, table, sqliteError(code), () => {
          expect(read(buffer)).toEqual(nothing);
        });
      }
      expect(timesIn(buffer)).toEqual([0]);
      buffer.close();
    },
  );

  test('of a pack waits for the disk, and does not take the pack for damaged', () => {
    const { buffer, append } = openLooking(dataDir);
    append(1);
    const [first] = buffer.read('a', 1);
    buffer.pin('a', undefined);
    const { id, epoch } = first!;
    const positions = [{ run: buffer.run, first: 1, last: 1, counts: [1] }];
    const times = { storedAt: T0, oldest: T0, newest: T0 };
    const pack = { id, lastId: id, firstSample: 0, tenant: 'a', epoch, positions, samples: 1 };
    buffer.storePack([first!], { ...pack, ...times, format: 1, body: Buffer.from('body') });
    const [head] = buffer.packs('a');
    whileThrowing(PackTable.prototype, 'body', sqliteError('SQLITE_BUSY'), () => {
      expect(buffer.readPack(head!)).toBeUndefined();
    });
    expect(buffer.readPack(head!)).toBeDefined();
    expect(buffer.losses.samples.damaged).toBe(0);
    buffer.close();
  });

  test('the dictionary ends no more than a life, after which the same files are opened again', () => {
    const { buffer, append } = openLooking(dataDir);
    append(1, 1);
    const error = sqliteError('SQLITE_IOERR_SHMMAP');
    whileThrowing(DictionaryTable.prototype, 'entry', error, () => {
      expect(() => buffer.dictionary.entry(0)).toThrow(error);
    });
    expect([buffer.isEndedBy(error), buffer.isDamaged]).toEqual([true, false]);
    expect(buffer.isEndedBy(new TypeError('a bug'))).toBe(false);
    buffer.close();
    const { buffer: next } = openBuffer(dataDir, 'two');
    expect(timesIn(next)).toEqual([0, 1]);
    expect(next.losses.salvages).toBe(0);
    next.close();
  });

  test('nobody closes the files while nobody can tell whether they are the last of their names', () => {
    const { buffer } = openLooking(dataDir);
    const fail = () => {
      throw systemError('EACCES', 'stat');
    };
    whileFaulty('statSync', fail, () => expect(() => buffer.isDamaged).toThrow('EACCES'));
    expect(buffer.isDamaged).toBe(false);
    buffer.close();
  });
});

describe('on a disk that is full', () => {
  const full = sqliteError('SQLITE_FULL');
  const whileFull = (work: () => void) =>
    whileThrowing(BufferDatabase.prototype, 'transaction', full, work);

  test('an epoch begins with the first append that it takes', () => {
    const { buffer, append } = openLooking(dataDir);
    const before = buffer.dictionary;
    const entries = seriesEntries('new');
    whileFull(() => {
      buffer.openEpoch();
      const newEntries = { firstId: 0, entries };
      const columns = samplesOf(0, T0 + 1);
      expect(buffer.append([{ tenant: 'a', columns, newEntries }])).toBe('disk_full');
      expect(() => buffer.housekeep()).not.toThrow();
    });
    const { epoch } = buffer.dictionary;
    expect(epoch).not.toBe(before.epoch);
    expect(append(2)).toBeUndefined();
    expect(timesIn(buffer)).toEqual([0]);
    buffer.close();

    const { buffer: later } = openBuffer(dataDir, 'later');
    expect(later.dictionaries.map((log) => log.epoch)).toEqual([before.epoch, epoch]);
    expect([...later.dictionary.entries()]).toEqual(entries.map((entry) => Buffer.from(entry)));
    later.close();
  });

  test('an epoch that was put off is stored within a second of there being room', () => {
    const { buffer } = openLooking(dataDir);
    whileFull(() => buffer.openEpoch());
    buffer.housekeep();
    const { epoch } = buffer.dictionary;
    buffer.close();
    const { buffer: later } = openBuffer(dataDir, 'later');
    expect(later.dictionary.epoch).toBe(epoch);
    later.close();
  });

  test('a dictionary is renamed all the same, and keeps the name once there is room', () => {
    const { buffer } = openLooking(dataDir);
    whileFull(() => {
      buffer.dictionary.rename(seededRandom('name'));
      expect(() => buffer.housekeep()).not.toThrow();
    });
    const { epoch } = buffer.dictionary;
    buffer.housekeep();
    buffer.close();
    const { buffer: later } = openBuffer(dataDir, 'later');
    expect(later.dictionary.epoch).toBe(epoch);
    expect(later.dictionary.length).toBe(2);
    later.close();
  });

  test('the log of an epoch stays until the disk has the one that follows', () => {
    const { buffer } = openLooking(dataDir);
    buffer.acknowledge('a', [{ run: buffer.run, first: 1, last: 1 }]);
    whileFull(() => {
      buffer.openEpoch();
      buffer.housekeep();
      expect(buffer.dictionaries).toHaveLength(2);
    });
    buffer.housekeep();
    expect(buffer.dictionaries).toEqual([buffer.dictionary]);
    buffer.close();
  });
});

import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { DamagedBufferError } from '../../agent/buffer/damage.ts';
import { keepDataDirLocked, lockDataDir } from '../../agent/buffer/data-dir-lock.ts';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { DictionaryTable } from '../../agent/buffer/dictionary-table.ts';
import { PackTable } from '../../agent/buffer/pack-table.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, powerCut, rowsOf, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';
import { sqliteError, systemError, whileFaulty, whileThrowing } from './disk-faults-fixture.ts';

vi.mock('node:fs', async (importReal) => {
  const { faultyFileSystem } = await import('./disk-faults-fixture.ts');
  return faultyFileSystem(await importReal());
});

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('disk-faults');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

/** A buffer that looks at the free space with every append. */
function open(seed = 'one') {
  const opened = openBuffer(dataDir, seed, { freeDiskBytesMin: 1 });
  const append = (at: number, id = 0) => {
    opened.clock.ms += 1000;
    return opened.buffer.append([{ tenant: 'a', columns: samplesOf(id, T0 + at) }]);
  };
  const newEntries = { firstId: 0, entries: seriesEntries('one', 'two') };
  opened.buffer.append([{ tenant: 'a', columns: samplesOf(0, T0), newEntries }]);
  return { ...opened, append };
}

function timesIn(buffer: SampleBuffer): number[] {
  return rowsOf(buffer.read('a', 1000)).map(([, timestamp]) => timestamp! - T0);
}

/** Ends the life of a buffer as agent/worker.ts does; what the next one holds. */
function timesOfNextLife(buffer: SampleBuffer): number[] {
  expect(() => buffer.housekeep()).toThrow(DamagedBufferError);
  buffer.abandon();
  const { buffer: next } = openBuffer(dataDir, 'next', {}, buffer.losses);
  const times = timesIn(next);
  expect(next.losses.samples).toMatchObject({ damaged: 0, vanished: 0 });
  next.close();
  return times;
}

describe('what was acknowledged is there in the next life, whatever happens first', () => {
  const changes: [string, (older: string) => void][] = [
    ['the folder is deleted', () => rmSync(dataDir, { recursive: true })],
    [
      'the folder is deleted and made anew',
      () => {
        rmSync(dataDir, { recursive: true });
        mkdirSync(dataDir);
      },
    ],
    ['the folder is moved', () => renameSync(dataDir, `${dataDir}-moved`)],
    [
      'the folder is moved and made anew',
      () => {
        renameSync(dataDir, `${dataDir}-moved`);
        mkdirSync(dataDir);
      },
    ],
    [
      'the folder is replaced by an older copy',
      (older) => {
        rmSync(dataDir, { recursive: true });
        cpSync(older, dataDir, { recursive: true });
      },
    ],
    ['the database is deleted', () => rmSync(join(dataDir, 'buffer.db'))],
    ['the log is deleted', () => rmSync(join(dataDir, 'buffer.db-wal'))],
    [
      'the database is replaced by an older copy',
      (older) => {
        rmSync(join(dataDir, 'buffer.db'));
        copyFileSync(join(older, 'buffer.db'), join(dataDir, 'buffer.db'));
      },
    ],
  ];

  test.each(changes)('%s, and an append comes before anybody has looked', (_name, change) => {
    const { buffer, append } = open();
    const older = powerCut(dataDir);
    for (const at of [1, 2]) append(at);
    change(older);
    expect(append(3)).toBe('recovering');
    expect(timesOfNextLife(buffer)).toEqual([0, 1, 2]);
  });

  test.each(changes)('%s, and then the figures are asked for', (_name, change) => {
    const { buffer, append } = open();
    const older = powerCut(dataDir);
    for (const at of [1, 2]) append(at);
    change(older);
    expect(() => [buffer.usedBytes(), buffer.oldestTimestamp()]).not.toThrow();
    expect(() => buffer.compact()).not.toThrow();
    expect(timesOfNextLife(buffer)).toEqual([0, 1, 2]);
  });

  test('the folder gives way to a file: the open files are kept until there is a place', () => {
    const { buffer, append } = open();
    append(1);
    rmSync(dataDir, { recursive: true });
    writeFileSync(dataDir, '');
    expect(append(2)).toBe('recovering');
    expect(() => buffer.abandon()).toThrow(/EEXIST|ENOTDIR/);
    rmSync(dataDir);
    expect(timesOfNextLife(buffer)).toEqual([0, 1]);
  });

  test.each(['SQLITE_FULL', 'SQLITE_CANTOPEN', 'SQLITE_IOERR_WRITE', 'SQLITE_READONLY'])(
    'the folder is deleted, and the disk does not take the copy (%s)',
    (code) => {
      const { buffer, append } = open();
      append(1);
      rmSync(dataDir, { recursive: true });
      expect(append(2)).toBe('recovering');
      whileThrowing(BufferDatabase.prototype, 'copyInto', sqliteError(code), () => {
        for (let attempt = 0; attempt < 2; attempt++) expect(() => buffer.abandon()).toThrow(code);
      });
      expect(timesOfNextLife(buffer)).toEqual([0, 1]);
    },
  );

  test('files that stay in the folder are set aside at once where a copy has no room', () => {
    const { buffer, append } = open();
    append(1);
    copyFileSync(join(dataDir, 'buffer.db'), `${dataDir}-copy`);
    writeFileSync(join(dataDir, 'buffer.db'), 'x', { flag: 'a' });
    expect(append(2)).toBe('recovering');
    whileThrowing(BufferDatabase.prototype, 'copyInto', sqliteError('SQLITE_FULL'), () =>
      buffer.abandon(),
    );
    const { buffer: next } = openBuffer(dataDir, 'next', {}, buffer.losses);
    expect(timesIn(next)).toEqual([0, 1]);
    next.close();
  });
});

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
    const { buffer, append } = open();
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
    const { buffer, append } = open();
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
    const { buffer, append } = open();
    whileThrowing(SegmentTable.prototype, 'add', sqliteError(code), () => {
      expect(append(1)).toBe(outcome);
    });
    if (outcome === 'recovering') return expect(timesOfNextLife(buffer)).toEqual([0]);
    expect(append(2)).toBeUndefined();
    expect(timesIn(buffer)).toEqual([0, 2]);
    buffer.close();
  });

  test('a bug is none', () => {
    const { buffer, append } = open();
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
    ['heads', (buffer) => buffer.firstStoredSince('a', 0), 0],
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
      const { buffer } = open();
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
    const { buffer, append } = open();
    append(1);
    const [first] = buffer.read('a', 1);
    buffer.unpin('a');
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
    const { buffer, append } = open();
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
    const { buffer } = open();
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
    const { buffer, append } = open();
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
    const { buffer } = open();
    whileFull(() => buffer.openEpoch());
    buffer.housekeep();
    const { epoch } = buffer.dictionary;
    buffer.close();
    const { buffer: later } = openBuffer(dataDir, 'later');
    expect(later.dictionary.epoch).toBe(epoch);
    later.close();
  });

  test('a dictionary is renamed all the same, and keeps the name once there is room', () => {
    const { buffer } = open();
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
    const { buffer } = open();
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

test('a folder that is another one by now is locked again, for the agent that has it', () => {
  lockDataDir(dataDir);
  keepDataDirLocked(dataDir);
  rmSync(dataDir, { recursive: true });
  keepDataDirLocked(dataDir);
  expect(readdirSync(dataDir)).toContain('lock');
  expect(() => lockDataDir(dataDir)).toThrow(/another process uses this folder/);
});

import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import { lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, powerCut } from './buffer-fixture.ts';
import {
  openLooking,
  sqliteError,
  timesIn,
  timesOfNextLife,
  whileThrowing,
} from './disk-faults-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('data-dir-gone');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

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
    const { buffer, append } = openLooking(dataDir);
    const older = powerCut(dataDir);
    for (const at of [1, 2]) append(at);
    change(older);
    expect(append(3)).toBe('recovering');
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0, 1, 2]);
  });

  test.each(changes)('%s, and then the figures are asked for', (_name, change) => {
    const { buffer, append } = openLooking(dataDir);
    const older = powerCut(dataDir);
    for (const at of [1, 2]) append(at);
    change(older);
    expect(() => [buffer.usedBytes(), buffer.oldestTimestamp()]).not.toThrow();
    expect(() => buffer.compact()).not.toThrow();
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0, 1, 2]);
  });

  test('the folder gives way to a file: the open files are kept until there is a place', () => {
    const { buffer, append } = openLooking(dataDir);
    append(1);
    rmSync(dataDir, { recursive: true });
    writeFileSync(dataDir, '');
    expect(append(2)).toBe('recovering');
    expect(() => buffer.abandon()).toThrow(/EEXIST|ENOTDIR/);
    rmSync(dataDir);
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0, 1]);
  });

  test.each([
    'SQLITE_FULL',
    'SQLITE_CANTOPEN',
    'SQLITE_IOERR_WRITE',
    'SQLITE_READONLY',
    'SQLITE_IOERR_READ',
    'SQLITE_IOERR_SHORT_READ',
    'SQLITE_IOERR_CORRUPTFS',
    'SQLITE_IOERR_DATA',
  ])(
    'the folder is deleted, and the disk does not take the copy, or does not read it (%s)',
    (code) => {
      const { buffer, append } = openLooking(dataDir);
      append(1);
      rmSync(dataDir, { recursive: true });
      expect(append(2)).toBe('recovering');
      whileThrowing(BufferDatabase.prototype, 'copyInto', sqliteError(code), () => {
        for (let attempt = 0; attempt < 2; attempt++) expect(() => buffer.abandon()).toThrow(code);
      });
      expect(timesOfNextLife(dataDir, buffer)).toEqual([0, 1]);
    },
  );

  test('a copy that failed takes no room while the next attempt is waited for', () => {
    const { buffer, append } = openLooking(dataDir);
    append(1);
    rmSync(dataDir, { recursive: true });
    expect(append(2)).toBe('recovering');
    const copyInto = vi.spyOn(BufferDatabase.prototype, 'copyInto').mockImplementation((path) => {
      writeFileSync(path, 'what fitted');
      throw sqliteError('SQLITE_FULL');
    });
    expect(() => buffer.abandon()).toThrow('SQLITE_FULL');
    copyInto.mockRestore();
    const parts = readdirSync(dataDir).filter((name) => name.endsWith('.part'));
    expect(parts.map((name) => statSync(join(dataDir, name)).size)).toEqual([0]);
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0, 1]);
  });

  test('a fault while reading is damage where somebody has changed the files', () => {
    const { buffer } = openLooking(dataDir);
    rmSync(dataDir, { recursive: true });
    const fault = sqliteError('SQLITE_IOERR_FSTAT');
    whileThrowing(SegmentTable.prototype, 'heads', fault, () => {
      expect(() => buffer.hasSegmentBefore('a', 9)).toThrow(fault.message);
    });
    expect(buffer.isDamaged).toBe(true);
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0]);
  });

  test('only what cannot be read for ten minutes is given up, and said to be lost', () => {
    const { buffer, append, clock } = openLooking(dataDir);
    append(1);
    rmSync(dataDir, { recursive: true });
    expect(append(2)).toBe('recovering');
    const unreadable = sqliteError('SQLITE_IOERR_READ');
    whileThrowing(BufferDatabase.prototype, 'copyInto', unreadable, () => {
      expect(() => buffer.abandon()).toThrow('SQLITE_IOERR_READ');
      clock.ms += 600_000;
      buffer.abandon();
    });
    const { buffer: next } = openBuffer(dataDir, 'next', {}, buffer.losses);
    expect(timesIn(next)).toEqual([]);
    expect(next.losses.samples).toMatchObject({ damaged: 2, vanished: 0 });
    next.close();
  });

  test('files that stay in the folder are set aside at once where a copy has no room', () => {
    const { buffer, append } = openLooking(dataDir);
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

test('a folder that is another one by now is not locked, and can be locked again', () => {
  const lock = lockDataDir(dataDir, 'agent');
  expect(lock.isInPlace()).toBe(true);
  rmSync(dataDir, { recursive: true });
  expect(lock.isInPlace()).toBe(false);
  const again = lockDataDir(dataDir, 'agent');
  expect(again.isInPlace()).toBe(true);
  expect(() => lockDataDir(dataDir, 'agent')).toThrow(/another process uses this folder/);
  lock.release();
  again.release();
});

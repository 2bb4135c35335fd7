import { appendFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import { systemError, whileFaulty } from '../tools/faulty-file-system.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, openDatabase } from './buffer-fixture.ts';
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
  workspace = new Workspace('buffer-lives');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

function messageOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it was to throw');
}

describe('the end of a life', () => {
  test('is what any error of SQLite means in files that somebody else has changed', () => {
    const error = sqliteError('SQLITE_ERROR');
    const { buffer } = openLooking(dataDir);
    expect(buffer.isEndedBy(error)).toBe(false);
    appendFileSync(join(dataDir, 'buffer.db'), 'x');
    expect(buffer.isEndedBy(new TypeError('a bug'))).toBe(false);
    const fail = () => {
      throw systemError('EACCES', 'stat');
    };
    whileFaulty('statSync', fail, () => expect(buffer.isEndedBy(error)).toBe(false));
    expect(buffer.isEndedBy(error)).toBe(true);
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0]);
  });

  test('begins the copy anew where a crash has left half of one', () => {
    const { buffer } = openLooking(dataDir);
    rmSync(dataDir, { recursive: true });
    expect(() => buffer.housekeep()).toThrow('was deleted');
    whileThrowing(BufferDatabase.prototype, 'copyInto', sqliteError('SQLITE_FULL'), () => {
      expect(() => buffer.abandon()).toThrow('SQLITE_FULL');
    });
    const part = readdirSync(dataDir).find((name) => name.endsWith('.part'))!;
    writeFileSync(join(dataDir, part), 'half a database');
    expect(timesOfNextLife(dataDir, buffer)).toEqual([0]);
  });

  test('syncs the copy and its names, and makes it anew where that fails', () => {
    const { buffer } = openLooking(dataDir);
    rmSync(join(dataDir, 'buffer.db'));
    expect(() => buffer.housekeep()).toThrow('was deleted');
    const synced: string[] = [];
    const sync = (file: number) => {
      const name = basename(readlinkSync(`/proc/self/fd/${file}`));
      synced.push(name.replace(/-.*Z/, ''));
    };
    const failing = (file: number) => {
      sync(file);
      throw systemError('EIO', 'fsync');
    };
    whileFaulty('fsyncSync', failing, () => expect(() => buffer.abandon()).toThrow('EIO'));
    expect(synced).toEqual(['salvaged.db.part']);
    whileFaulty('fsyncSync', sync, () => buffer.abandon());
    expect(synced.slice(1)).toEqual(['salvaged.db.part', basename(dataDir)]);
    const { buffer: next } = whileFaulty('fsyncSync', sync, () => openBuffer(dataDir, 'next'));
    expect(synced.slice(3)).toEqual([basename(dataDir)]);
    expect(timesIn(next)).toEqual([0]);
    next.close();
  });
});

describe('the beginning of one', () => {
  test('leaves a damaged row on a full disk to whoever reads it, and counts it once', () => {
    const { buffer, append } = openLooking(dataDir);
    append(1);
    buffer.close();
    const database = openDatabase(dataDir);
    database.exec('UPDATE segments SET crc = crc + 1 WHERE id = 1');
    database.close();
    const open = () => openBuffer(dataDir, 'two').buffer;
    whileThrowing(SegmentTable.prototype, 'setAside', new TypeError('a bug'), () => {
      expect(open).toThrow('a bug');
    });
    whileThrowing(BufferDatabase.prototype, 'transaction', sqliteError('SQLITE_FULL'), () => {
      const later = open();
      expect(later.losses.samples.damaged).toBe(0);
      expect(timesIn(later)).toEqual([1]);
      later.close();
    });
    const last = open();
    expect(timesIn(last)).toEqual([1]);
    expect(last.losses.samples.damaged).toBe(1);
    last.close();
  });

  test('is possible again by what the error says where a bit of the version has flipped', () => {
    openLooking(dataDir).buffer.close();
    const query = (sql: string) => {
      const database = openDatabase(dataDir);
      database.exec(sql);
      database.close();
    };
    query('PRAGMA user_version = 257');
    const [, advice] = /sqlite3 buffer\.db "(.*)"/.exec(
      messageOf(() => openBuffer(dataDir, 'two')),
    )!;
    query(advice!);
    const { buffer } = openBuffer(dataDir, 'three');
    expect(timesIn(buffer)).toEqual([0]);
    buffer.close();
  });

  test('is refused for a bug in what a full disk may keep from being written', () => {
    openLooking(dataDir).buffer.close();
    const database = openDatabase(dataDir);
    database.pragma('user_version = 0');
    database.close();
    const { pragma } = Database.prototype;
    const spy = vi.spyOn(Database.prototype, 'pragma');
    spy.mockImplementation(function (this: Database.Database, source, options) {
      if (source.startsWith('user_version =')) throw new TypeError('a bug');
      return pragma.call(this, source, options);
    });
    expect(() => openBuffer(dataDir, 'two')).toThrow('a bug');
    spy.mockRestore();
  });
});

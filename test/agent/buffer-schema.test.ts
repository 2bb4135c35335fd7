import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { DamagedBufferError } from '../../agent/buffer/damage.ts';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { openSqlite, SCHEMA_VERSION } from '../../agent/buffer/schema.ts';
import { starferryBuffer } from '../cli/buffer-fixture.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, openDatabase, powerCut, samplesOf, T0 } from './buffer-fixture.ts';
import { sqliteError, whileThrowing } from './disk-faults-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('schema');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

/** A buffer with one sample, closed, of the given version. */
function fill(version?: number): void {
  const { buffer } = openBuffer(dataDir, 'one');
  buffer.append([{ tenant: 'a', columns: samplesOf(0, T0) }]);
  buffer.close();
  if (version !== undefined) setVersion(dataDir, version);
}

function setVersion(folder: string, version: number): void {
  const db = openDatabase(folder);
  db.pragma(`user_version = ${version}`);
  db.close();
}

function versionIn(folder: string): unknown {
  const db = openDatabase(folder);
  const version = db.pragma('user_version', { simple: true });
  db.close();
  return version;
}

const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'base64')]),
  );

const bothVersions = new RegExp(
  `schema version ${SCHEMA_VERSION + 1}, and this version of Starferry knows only ${SCHEMA_VERSION}`,
);

describe('a buffer that a newer version has written', () => {
  test('is refused with both versions named, and not touched', () => {
    fill(SCHEMA_VERSION + 1);
    const before = contents(dataDir);
    expect(() => openBuffer(dataDir, 'two')).toThrow(bothVersions);
    expect(contents(dataDir)).toEqual(before);
  });

  test('is not salvaged because its log is damaged', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    for (const at of [0, 1, 2]) buffer.append([{ tenant: 'a', columns: samplesOf(0, T0 + at) }]);
    buffer.compact();
    const other = openDatabase(dataDir);
    other.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
    other.pragma('wal_checkpoint(TRUNCATE)');
    for (const at of [0, 1, 2]) other.exec(`INSERT INTO heads VALUES ('run', 'tenant ${at}', 1)`);
    const copy = powerCut(dataDir);
    other.close();
    buffer.close();
    const wal = readFileSync(join(copy, 'buffer.db-wal'));
    wal[100]! ^= 1;
    writeFileSync(join(copy, 'buffer.db-wal'), wal);
    expect(() => openBuffer(copy, 'two')).toThrow(bothVersions);
  });

  test('is not salvaged after a salvage was begun', () => {
    fill(SCHEMA_VERSION + 1);
    writeFileSync(join(dataDir, 'salvaged-20261121T083954Z.db.part'), '');
    expect(() => openBuffer(dataDir, 'two')).toThrow(bothVersions);
  });

  test('is refused by starferry buffer as well', async () => {
    fill(SCHEMA_VERSION + 1);
    const { code, stderr } = await starferryBuffer('inspect', dataDir);
    expect(code).toBe(1);
    expect(stderr).toMatch(bothVersions);
    expect(stderr).not.toContain('    at ');
  });
});

test('a buffer from before there were versions is taken over', () => {
  fill(0);
  const { buffer } = openBuffer(dataDir, 'two');
  expect(buffer.backlog.get('a')).toBe(1);
  buffer.close();
  expect(versionIn(dataDir)).toBe(SCHEMA_VERSION);
});

test.each(['SQLITE_FULL', 'SQLITE_READONLY'])(
  'a disk that does not take the version now delivers what is in the buffer (%s)',
  (code) => {
    fill(0);
    const { pragma } = Database.prototype;
    const failing = vi.spyOn(Database.prototype, 'pragma').mockImplementation(function (
      this: Database.Database,
      ...call
    ) {
      if (call[0].startsWith('user_version =')) throw sqliteError(code);
      return pragma.apply(this, call);
    });
    onTestFinished(() => failing.mockRestore());
    const { buffer } = openBuffer(dataDir, 'two');
    expect(buffer.read('a', 10)).toHaveLength(1);
    buffer.close();
    failing.mockRestore();
    expect(versionIn(dataDir)).toBe(0);
    openBuffer(dataDir, 'three').buffer.close();
    expect(versionIn(dataDir)).toBe(SCHEMA_VERSION);
  },
);

test('a disk that does not let go of what former runs counted is no reason not to start', () => {
  fill();
  whileThrowing(BufferDatabase.prototype, 'forgetHeads', sqliteError('SQLITE_FULL'), () =>
    openBuffer(dataDir, 'two').buffer.close(),
  );
  whileThrowing(BufferDatabase.prototype, 'forgetHeads', new TypeError('a bug'), () =>
    expect(() => openBuffer(dataDir, 'three')).toThrow('a bug'),
  );
});

test('a version that no program has is put right', () => {
  fill(-7);
  const { buffer } = openBuffer(dataDir, 'two');
  expect(buffer.backlog.get('a')).toBe(1);
  buffer.close();
  expect(versionIn(dataDir)).toBe(SCHEMA_VERSION);
});

test('a version that somebody sets while the agent runs is not believed', () => {
  const { buffer } = openBuffer(dataDir, 'one');
  buffer.append([{ tenant: 'a', columns: samplesOf(0, T0) }]);
  setVersion(dataDir, SCHEMA_VERSION + 1);
  expect(() => buffer.housekeep()).toThrow(DamagedBufferError);
  buffer.abandon();
  const { buffer: next } = openBuffer(dataDir, 'two');
  expect(next.backlog.get('a')).toBe(1);
  next.close();
  expect(versionIn(dataDir)).toBe(SCHEMA_VERSION);
});

describe('every commit is synced', () => {
  test('as the open connection says itself', () => {
    const path = join(dataDir, 'buffer.db');
    for (const state of ['new', 'opened again']) {
      const db = openSqlite(path, 2 ** 20);
      const pragma = (name: string): unknown => db.pragma(name, { simple: true });
      expect([state, pragma('journal_mode'), pragma('synchronous')]).toEqual([state, 'wal', 2]);
      db.close();
    }
  });

  test.each([
    ['synchronous = FULL', 'synchronous = NORMAL', 'synchronous 1'],
    ['synchronous = FULL', 'synchronous = OFF', 'synchronous 0'],
    ['journal_mode = WAL', 'journal_mode = DELETE', 'journal_mode delete'],
  ])('or nothing is stored: %s has become %s', (wanted, instead, said) => {
    const { pragma } = Database.prototype;
    const spy = vi.spyOn(Database.prototype, 'pragma');
    spy.mockImplementation(function (this: Database.Database, source, options) {
      return pragma.call(this, source === wanted ? instead : source, options);
    });
    try {
      expect(() => openBuffer(dataDir, 'one')).toThrow(said);
    } finally {
      spy.mockRestore();
    }
  });
});

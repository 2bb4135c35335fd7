import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import { makeDurable } from '../../base/sqlite/durable.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('store-folder');
  dataDir = workspace.subfolder('hub');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await workspace.close();
});

const file = (name: string) => join(dataDir, name);

describe('a data_dir', () => {
  test('serves one hub: a second one is told so in one line', () => {
    const first = new HubStore(dataDir, seededRandom('first'));
    const second = () => new HubStore(dataDir, seededRandom('second'));
    expect(second).toThrow(
      /^[^\n]*another process uses this folder: is a hub running already\?[^\n]*$/,
    );
    first.close();
    const store = second();
    expect(() => lockDataDir(dataDir, 'hub')).toThrow(/another process/);
    store.close();
  });

  test('is free again however its process ends', () => {
    const lock = new URL('../../base/sqlite/data-dir-lock.ts', import.meta.url).href;
    const script = `const { lockDataDir } = await import('${lock}'); lockDataDir('${dataDir}', 'hub'); process.kill(process.pid, 'SIGKILL');`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(signal).toBe('SIGKILL');
    lockDataDir(dataDir, 'hub').release();
  });

  test('keeps every commit in a power cut: the open connection syncs its log each time', () => {
    const prepared = vi.spyOn(Database.prototype, 'prepare');
    const store = new HubStore(dataDir, seededRandom('durable'));
    const open = (prepared.mock.contexts as unknown as Database.Database[]).filter(
      (db) => db.open && db.name === file('hub.db'),
    );
    expect(open.length).toBeGreaterThan(0);
    for (const db of open) {
      expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
      expect(db.pragma('synchronous', { simple: true })).toBe(2);
    }
    store.close();
  });

  test('on a file system that cannot do that is refused, and not quietly used', () => {
    const db = new Database(':memory:');
    expect(() => makeDurable(db)).toThrow(/commits are not durable .* local file system/);
    db.close();
  });
});

describe('the version of hub.db', () => {
  test('that is newer is refused with both versions, and the file left as it is', () => {
    new HubStore(dataDir, seededRandom('new')).close();
    const db = new Database(file('hub.db'));
    db.pragma('user_version = 7');
    db.close();
    const before = readFileSync(file('hub.db'));
    expect(() => new HubStore(dataDir, seededRandom('old'))).toThrow(
      /version 7, and this program knows versions up to 1: .*move the file away/,
    );
    expect(readFileSync(file('hub.db')).equals(before)).toBe(true);
    // Nor does the attempt keep the folder.
    lockDataDir(dataDir, 'hub').release();
  });

  test('0, before there were checksums: all of it is taken over, once', () => {
    const db = new Database(file('hub.db'));
    db.exec(VERSION_0);
    db.close();
    const store = new HubStore(dataDir, seededRandom('new'));
    expect(store.hub).toBe(0xabcn);
    expect([...store.entries('sg')].map(({ entry }) => `${entry}`)).toEqual(['one', 'two']);
    expect(store.positions('sg')).toEqual([{ tenant: '', range: { run: 7n, first: 1, last: 10 } }]);
    expect(store.runs('sg')).toEqual({ current: 7n, replaced: [6n] });
    expect(store.tenantAges()).toEqual([{ tenant: 'a', newest: 5, isBounded: true }]);
    expect(store.state).toMatchObject({ damagedFiles: 0, damagedRows: 0 });
    store.close();
    const later = new HubStore(dataDir, seededRandom('later'));
    expect(later.hub).toBe(0xabcn);
    expect(later.positions('sg')).toHaveLength(1);
    later.close();
  });
});

const VERSION_0 = `
  CREATE TABLE IF NOT EXISTS hub (id TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS entries (
    agent TEXT NOT NULL, epoch TEXT NOT NULL, id INTEGER NOT NULL, entry BLOB NOT NULL,
    PRIMARY KEY (agent, epoch, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS positions (
    agent TEXT NOT NULL, tenant TEXT NOT NULL, run TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (agent, tenant, run, first)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS runs (
    agent TEXT NOT NULL, run TEXT NOT NULL, is_current INTEGER NOT NULL,
    PRIMARY KEY (agent, run)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS tenant_ages (
    tenant TEXT PRIMARY KEY, newest REAL NOT NULL, is_bounded INTEGER NOT NULL
  ) WITHOUT ROWID;
  INSERT INTO hub VALUES ('0000000000000abc');
  INSERT INTO entries VALUES ('sg', '0000000000000005', 0, CAST('one' AS BLOB)),
    ('sg', '0000000000000005', 1, CAST('two' AS BLOB));
  INSERT INTO positions VALUES ('sg', '', '0000000000000007', 1, 10),
    ('sg', '', '0000000000000007', 20, 19);
  INSERT INTO runs VALUES ('sg', '0000000000000006', 0), ('sg', '0000000000000007', 1);
  INSERT INTO tenant_ages VALUES ('a', 5, 1);
`;

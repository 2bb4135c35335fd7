import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type RefusedStore, refusedFile } from '../../hub/store/refused-store.ts';
import { Workspace } from '../tools/workspace.ts';
import { refusal } from './refused-fixture.ts';
import { lookInto, openRecordIn } from './refused-rig.ts';

let workspace: Workspace;
let dataDir: string;
beforeEach(() => {
  workspace = new Workspace('refused');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

const openRecord = (options?: Parameters<typeof openRecordIn>[2]) =>
  openRecordIn(workspace, dataDir, options);
const look = <T>(work: (store: RefusedStore) => T): T => lookInto(dataDir, work);

describe('a disk that fails', () => {
  it('costs the record of the moment, said and counted, and nothing else', async () => {
    const rig = openRecord();
    const { record, dropped, lines } = rig;
    await record.keep([refusal({ agent: 'before' })]);
    const blocker = new Database(refusedFile(dataDir));
    workspace.onClose(() => void blocker.close());
    blocker.exec('BEGIN IMMEDIATE');
    await record.keep([refusal({ agent: 'meanwhile' }), refusal({ agent: 'meanwhile' })]);
    blocker.exec('ROLLBACK');
    expect(dropped.disk).toBe(2);
    expect(lines).toEqual(['refused disk']);
    await record.keep([refusal({ agent: 'after' })]);
    const agents = look((store) => store.groups({}).map(({ agent }) => agent));
    expect(agents.sort()).toEqual(['after', 'before']);
  });

  it('that cannot be opened at the start is asked again with what comes', async () => {
    const rig = openRecord({ isDiskGone: true });
    await rig.record.keep([refusal()]);
    expect(rig.record.totals()).toEqual([]);
    expect(rig.dropped.disk).toBe(1);
    rig.isDiskGone = false;
    await rig.record.keep([refusal()]);
    expect(rig.record.totals()).toMatchObject([{ records: 1 }]);
    expect(rig.dropped.disk).toBe(1);
  });

  it.each([
    "body = CAST(body || 'x' AS BLOB)",
    "tenant = tenant || 'x'",
    "agent = agent || 'x'",
    "reason = 'too_old'",
    "message = message || 'x'",
    'recorded_at = recorded_at + 1',
    'refused = refused + 1',
    'doubtful = doubtful + 1',
    'oldest = oldest - 1',
    'newest = newest + 1',
    "examples = 'x'",
    'bytes = bytes * 2',
  ])('in the middle of a record: the row is known to be damaged: %s', async (change) => {
    const { record } = openRecord();
    await record.keep([refusal()]);
    await record.close();
    const db = new Database(refusedFile(dataDir));
    db.exec(`UPDATE refused SET ${change}`);
    db.close();
    expect(look((store) => store.get(1)?.isIntact)).toBe(false);
  });

  it('from which refused.db is deleted: a new one is begun, and that is said', async () => {
    const { record, lines } = openRecord();
    await record.keep([refusal({ agent: 'before' })]);
    for (const suffix of ['', '-wal', '-shm']) rmSync(refusedFile(dataDir) + suffix);
    await record.keep([refusal({ agent: 'after' })]);
    expect(lines).toEqual(['refused gone']);
    await record.close();
    expect(look((store) => store.groups({}).map(({ agent }) => agent))).toEqual(['after']);
  });

  it('syncs every record with its commit', async () => {
    const prepared = vi.spyOn(Database.prototype, 'prepare');
    const { record } = openRecord();
    await record.keep([refusal()]);
    const db = (prepared.mock.contexts as unknown as Database.Database[]).at(-1)!;
    expect(db.name).toBe(refusedFile(dataDir));
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(db.pragma('synchronous', { simple: true })).toBe(2);
    prepared.mockRestore();
  });

  it('with a damaged file: it is set aside and a new one begun', async () => {
    writeFileSync(refusedFile(dataDir), Buffer.alloc(10_000, 'rubbish'));
    const { record, lines } = openRecord();
    expect(lines).toEqual(['refused disk']);
    await record.keep([refusal()]);
    expect(look((store) => store.ids({}))).toEqual([1]);
    expect(existsSync(`${refusedFile(dataDir)}.damaged`)).toBe(true);
  });

  it('with a bit in the write version of its file: that is set aside as well', async () => {
    const { record } = openRecord();
    await record.keep([refusal()]);
    await record.close();
    const bytes = readFileSync(refusedFile(dataDir));
    writeFileSync(refusedFile(dataDir), bytes.fill(3, 18, 19));
    const { record: next } = openRecord();
    await next.keep([refusal()]);
    expect(look((store) => store.ids({}))).toEqual([1]);
    expect(existsSync(`${refusedFile(dataDir)}.damaged`)).toBe(true);
    await next.close();
  });

  it('or is closed already gives up what comes, and says so', async () => {
    const { record, dropped } = openRecord();
    await record.close();
    await record.keep([refusal()]);
    expect(dropped.disk).toBe(1);
  });
});

describe('the version of refused.db', () => {
  it('that is newer is refused with both versions, and the file left as it is', async () => {
    const first = openRecord();
    await first.record.keep([refusal()]);
    await first.record.close();
    setVersion(8);
    expect(() => look(() => {})).toThrow(/version 8, and this program knows versions up to 1/);
    const { record, lines, dropped } = openRecord();
    await record.keep([refusal()]);
    expect(lines).toEqual(['refused disk', 'refused disk']);
    expect(dropped.disk).toBe(1);
    setVersion(1);
    expect(look((store) => store.ids({}))).toEqual([1]);
  });

  it('0: its records keep the checksum they have, new ones get that of the whole row', async () => {
    const first = openRecord();
    await first.record.keep([refusal(), refusal()]);
    await first.record.close();
    const db = new Database(refusedFile(dataDir));
    db.exec('ALTER TABLE refused DROP COLUMN row_crc; PRAGMA user_version = 0');
    db.exec("UPDATE refused SET tenant = tenant || 'x' WHERE id = 2");
    db.close();
    const { record, lines } = openRecord();
    await record.keep([refusal()]);
    expect(lines).toEqual([]);
    const intact = look((store) => [1, 2, 3].map((id) => store.get(id)?.isIntact));
    expect(intact).toEqual([true, false, true]);
  });

  it('calls other what an earlier version recorded as unknown, and counts it once', async () => {
    const first = openRecord();
    const others = [refusal({ reason: 'other' }), refusal({ reason: 'other', refused: 2 })];
    await first.record.keep([...others, refusal()]);
    await first.record.close();
    const db = new Database(refusedFile(dataDir));
    db.exec(`
      ALTER TABLE refused DROP COLUMN row_crc;
      PRAGMA user_version = 0;
      UPDATE refused SET reason = 'unknown' WHERE refused = 2;
      UPDATE totals SET reason = 'unknown', records = 1, refused = 2, doubtful = 1
        WHERE reason = 'other';
      INSERT INTO totals SELECT 'other', 1, 1, 1, bytes FROM totals WHERE reason = 'unknown';
    `);
    db.close();
    expect(openRecord().record.totals()).toMatchObject([
      { reason: 'other', records: 2, refused: 3, unknown: 2 },
      { reason: 'out_of_order', records: 1, refused: 1, unknown: 1 },
    ]);
    expect(look((store) => store.ids({ reason: 'other' }))).toHaveLength(2);
  });

  function setVersion(version: number): void {
    const db = new Database(refusedFile(dataDir));
    db.pragma(`user_version = ${version}`);
    db.close();
  }
});

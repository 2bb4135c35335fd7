import Database from 'better-sqlite3';
import { makeDurable } from '../../base/sqlite/durable.ts';
import { DamagedBufferError } from './damage.ts';
import { isDiskFault } from './disk-fault.ts';

export const PAGE_BYTES = 16_384;
/** The latency of a commit grows with the write-ahead log: checkpoint at 4 MiB. */
const WAL_PAGES_MAX = 256;
/** Beyond the quota, so that the deletes that make room still find pages. */
const SPARE_PAGES = 4 * WAL_PAGES_MAX;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS epochs (key INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS dictionary (
    epoch INTEGER NOT NULL, id INTEGER NOT NULL, hash INTEGER NOT NULL, entry BLOB NOT NULL,
    PRIMARY KEY (epoch, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, epoch INTEGER NOT NULL,
    run TEXT NOT NULL, sequence INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    samples INTEGER NOT NULL, oldest REAL NOT NULL, newest REAL NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS segments_of_tenant ON segments (tenant, id);
  CREATE UNIQUE INDEX IF NOT EXISTS segments_by_position ON segments (run, tenant, sequence);
  CREATE TABLE IF NOT EXISTS damaged_segments AS SELECT * FROM segments WHERE 0;
  CREATE TABLE IF NOT EXISTS packs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, last_id INTEGER NOT NULL,
    first_sample INTEGER NOT NULL, tenant TEXT NOT NULL,
    epoch INTEGER NOT NULL, positions TEXT NOT NULL, stored_at INTEGER NOT NULL,
    samples INTEGER NOT NULL, oldest REAL NOT NULL, newest REAL NOT NULL,
    format INTEGER NOT NULL, head_crc INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS parked_packs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, last_id INTEGER NOT NULL,
    first_sample INTEGER NOT NULL, tenant TEXT NOT NULL,
    epoch INTEGER NOT NULL, positions TEXT NOT NULL, stored_at INTEGER NOT NULL,
    samples INTEGER NOT NULL, oldest REAL NOT NULL, newest REAL NOT NULL,
    format INTEGER NOT NULL, head_crc INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS damaged_packs AS SELECT * FROM packs WHERE 0;
  CREATE TABLE IF NOT EXISTS heads (
    run TEXT NOT NULL, tenant TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (run, tenant)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS discarded (
    tenant TEXT PRIMARY KEY, samples INTEGER NOT NULL, oldest REAL NOT NULL, newest REAL NOT NULL
  ) WITHOUT ROWID;
`;

/** Whoever finds some of these and not the others does not look at a database of the buffer. */
const CORE_TABLES = ['epochs', 'dictionary', 'segments'];

/**
 * Version of SCHEMA, which the database keeps as `user_version`. A database that says 0 was written
 * before there were versions, and has the same tables as version 1.
 */
export const SCHEMA_VERSION = 1;
/** No version will ever be higher; a damaged header may say so. */
export const VERSION_MAX = 0xffff;

/** A newer program has written the buffer: this one would read it wrongly. */
export class NewerBufferError extends Error {
  override readonly name = 'NewerBufferError';

  constructor(version: number) {
    super(
      `buffer.db has schema version ${version}, and this version of Starferry knows only ` +
        `${SCHEMA_VERSION}: go on with the newer Starferry that wrote it, or let that one deliver ` +
        'what waits and then name another data_dir; if there was none, the header of buffer.db is ' +
        'damaged: stop the agent and run sqlite3 buffer.db "PRAGMA user_version = ' +
        `${SCHEMA_VERSION}"`,
    );
  }
}

/**
 * Opens or creates the file; `bytesMax` becomes SQLite's own page quota.
 *
 * @throws errors of SQLite; DamagedBufferError; NewerBufferError; Error where the file system does
 *   not let commits be as durable as they have to be
 */
export function openSqlite(path: string, bytesMax: number): Database.Database {
  const db = new Database(path);
  try {
    const version = db.pragma('user_version', { simple: true }) as number;
    // Before anything is written. A version beyond all bounds is damage, and is put right.
    if (version > SCHEMA_VERSION && version <= VERSION_MAX) throw new NewerBufferError(version);
    // Set at every open: a reopened WAL database would be NORMAL, and the quota is not stored.
    db.pragma(`page_size = ${PAGE_BYTES}`);
    db.pragma('auto_vacuum = INCREMENTAL');
    makeDurable(db);
    db.pragma(`wal_autocheckpoint = ${WAL_PAGES_MAX}`);
    db.pragma(`journal_size_limit = ${WAL_PAGES_MAX * PAGE_BYTES}`);
    db.pragma(`max_page_count = ${Math.ceil(bytesMax / PAGE_BYTES) + SPARE_PAGES}`);
    assertCoreTables(db);
    db.exec(SCHEMA);
    if (version !== SCHEMA_VERSION) writeVersion(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Gives a database in a file of our own the version of this program.
 *
 * @throws errors of SQLite
 */
export function setSchemaVersion(path: string): void {
  const db = new Database(path);
  try {
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  } finally {
    db.close();
  }
}

/** A full disk must not keep an agent from delivering what would make room. */
function writeVersion(db: Database.Database): void {
  try {
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  } catch (error) {
    if (!isDiskFault(error)) throw error;
  }
}

function assertCoreTables(db: Database.Database): void {
  const names = db.prepare('SELECT name FROM sqlite_schema').pluck().all();
  const missing = CORE_TABLES.find((name) => !names.includes(name));
  if (names.length > 0 && missing !== undefined) {
    throw new DamagedBufferError(`the table ${missing} is missing`);
  }
}

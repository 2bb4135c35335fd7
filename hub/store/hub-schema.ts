import Database from 'better-sqlite3';
import { rowChecksum, type SqlValue } from './row-checksum.ts';
import { DamagedStoreError } from './store-fault.ts';
import { versionOf } from './store-version.ts';

/** 1: a checksum in every row, what is known of agents and their lag. 0: before there were versions. */
export const VERSION = 1;

/** The columns that a row's checksum covers: all that there are. */
const COLUMNS = {
  hub: ['id'],
  entries: ['agent', 'epoch', 'id', 'entry'],
  positions: ['agent', 'tenant', 'run', 'first', 'last'],
  runs: ['agent', 'run', 'is_current'],
  tenant_ages: ['tenant', 'newest', 'is_bounded'],
  agents: ['agent', 'heard_at', 'clock_offset'],
  lags: ['agent', 'tenant', 'since', 'is_answered'],
} as const;

export type TableName = keyof typeof COLUMNS;
export const TABLES = Object.keys(COLUMNS) as TableName[];

const SCHEMA = `
  CREATE TABLE hub (id TEXT NOT NULL, crc INTEGER NOT NULL);
  CREATE TABLE entries (
    agent TEXT NOT NULL, epoch TEXT NOT NULL, id INTEGER NOT NULL, entry BLOB NOT NULL,
    crc INTEGER NOT NULL, PRIMARY KEY (agent, epoch, id)
  ) WITHOUT ROWID;
  CREATE TABLE positions (
    agent TEXT NOT NULL, tenant TEXT NOT NULL, run TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    crc INTEGER NOT NULL, PRIMARY KEY (agent, tenant, run, first)
  ) WITHOUT ROWID;
  CREATE TABLE runs (
    agent TEXT NOT NULL, run TEXT NOT NULL, is_current INTEGER NOT NULL,
    crc INTEGER NOT NULL, PRIMARY KEY (agent, run)
  ) WITHOUT ROWID;
  CREATE TABLE tenant_ages (
    tenant TEXT PRIMARY KEY, newest REAL NOT NULL, is_bounded INTEGER NOT NULL,
    crc INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE agents (
    agent TEXT PRIMARY KEY, heard_at INTEGER NOT NULL, clock_offset INTEGER NOT NULL,
    crc INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE lags (
    agent TEXT NOT NULL, tenant TEXT NOT NULL, since REAL NOT NULL, is_answered INTEGER NOT NULL,
    crc INTEGER NOT NULL, PRIMARY KEY (agent, tenant)
  ) WITHOUT ROWID;
  CREATE TABLE damaged_rows (found_at INTEGER NOT NULL, row TEXT NOT NULL);
`;

/** Rows of version 0 that are of the form of their table: nothing else vouches for them. */
const FORMS_OF_VERSION_0 = {
  hub: "length(id) = 16 AND id NOT GLOB '*[^0-9a-f]*'",
  entries: "length(epoch) = 16 AND epoch NOT GLOB '*[^0-9a-f]*' AND typeof(id) = 'integer'",
  positions:
    "length(run) = 16 AND run NOT GLOB '*[^0-9a-f]*' AND typeof(first) = 'integer' AND " +
    "typeof(last) = 'integer' AND first BETWEEN 1 AND last AND last < 9007199254740992",
  runs: "length(run) = 16 AND run NOT GLOB '*[^0-9a-f]*'",
  tenant_ages: "typeof(newest) = 'real'",
} as const;

/** A row as it was read, and whether it agrees with its checksum. */
export type Checked<Row> = Row & { is_intact: number };

/** SQL that is 1 where a row agrees with its checksum. */
export function isIntact(table: TableName): string {
  return `(crc IS ${checksumOf(table)})`;
}

/** SQL that adds a row; its values are those of `valuesOf`. */
export function insertInto(table: TableName): string {
  const columns = [...COLUMNS[table], 'crc'];
  return `INSERT INTO ${table} (${columns}) VALUES (${columns.map(() => '?')})`;
}

/** The values of a row in the order of its columns, and its checksum. */
export function valuesOf(table: TableName, ...columns: SqlValue[]): SqlValue[] {
  return [...columns, rowChecksum(table, columns)];
}

/** SQL that writes a whole row as text, whatever it holds. */
export function asText(table: TableName): string {
  return [`'${table}'`, ...[...COLUMNS[table], 'crc'].map((name) => `quote(${name})`)].join(
    " || ' ' || ",
  );
}

/**
 * Makes the tables of a new database, brings those of an older version up to date, and makes sure
 * that they are the tables that this version makes.
 *
 * @throws DamagedStoreError, errors of SQLite
 */
export function prepareSchema(db: Database.Database): void {
  db.function('row_checksum', { varargs: true, deterministic: true }, (table, ...columns) =>
    rowChecksum(table as string, columns as SqlValue[]),
  );
  if (schemaOf(db).length === 0) create(db);
  else if (versionOf(db) === 0) migrate(db);
  if (JSON.stringify(schemaOf(db)) !== JSON.stringify(expectedSchema())) {
    throw new DamagedStoreError('its tables are not those that were made');
  }
}

function create(db: Database.Database): void {
  const all = db.transaction(() => {
    db.exec(SCHEMA);
    db.pragma(`user_version = ${VERSION}`);
  });
  all.immediate();
}

/** Version 0 had no checksums: what is there is believed this once, and vouched for from then on. */
function migrate(db: Database.Database): void {
  const found = schemaOf(db);
  if (found.some(({ sql }) => sql?.includes('crc'))) {
    throw new DamagedStoreError('the number of its version is gone');
  }
  const old = (Object.keys(FORMS_OF_VERSION_0) as (keyof typeof FORMS_OF_VERSION_0)[]).filter(
    (table) => found.some(({ name }) => name === table),
  );
  const all = db.transaction(() => {
    for (const table of old) db.exec(`ALTER TABLE ${table} RENAME TO old_${table}`);
    db.exec(SCHEMA);
    for (const table of old) {
      const columns = COLUMNS[table].join();
      db.exec(
        `INSERT INTO ${table} (${columns}, crc) SELECT ${columns}, ${checksumOf(table)} ` +
          `FROM old_${table} WHERE ${FORMS_OF_VERSION_0[table]}`,
      );
      db.exec(`DROP TABLE old_${table}`);
    }
    db.pragma(`user_version = ${VERSION}`);
  });
  all.immediate();
}

function checksumOf(table: TableName): string {
  return `row_checksum('${table}', ${COLUMNS[table].join()})`;
}

interface SchemaRow {
  name: string;
  sql: string | null;
}

function schemaOf(db: Database.Database): SchemaRow[] {
  return db.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all() as SchemaRow[];
}

let expected: SchemaRow[] | undefined;

/** What SQLite itself makes of the schema. */
function expectedSchema(): SchemaRow[] {
  if (expected === undefined) {
    const db = new Database(':memory:');
    db.exec(SCHEMA);
    expected = schemaOf(db);
    db.close();
  }
  return expected;
}

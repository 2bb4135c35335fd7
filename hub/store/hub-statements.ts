import type Database from 'better-sqlite3';
import { asText, insertInto, isIntact, TABLES, type TableName } from './hub-schema.ts';

export type HubStatements = ReturnType<typeof prepareStatements>;

/** The one file that speaks SQL to the tables of the hub's database; prepared once. */
export function prepareStatements(db: Database.Database) {
  const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
  const each = (text: (table: TableName) => string) =>
    Object.fromEntries(TABLES.map((table) => [table, sql(text(table))])) as Record<
      TableName,
      Database.Statement<unknown[]>
    >;
  const checked = (table: TableName, columns: string) =>
    `SELECT ${columns}, ${isIntact(table)} AS is_intact FROM ${table}`;
  return {
    hubId: sql('SELECT id FROM hub'),
    setHubId: sql(insertInto('hub')),
    addEntry: sql(insertInto('entries')),
    entries: sql(
      `${checked('entries', 'epoch, id, entry')} WHERE agent = ? AND (epoch, id) > (?, ?) ` +
        'ORDER BY epoch, id LIMIT ?',
    ),
    headBehind: sql(
      `${checked('entries', 'agent, epoch, id')} WHERE (agent, epoch) > (?, ?) ` +
        'ORDER BY agent, epoch, id LIMIT 1',
    ),
    removeEntriesFrom: sql('DELETE FROM entries WHERE agent = ? AND epoch = ? AND id >= ?'),
    removeLastEntries: sql(
      'DELETE FROM entries WHERE agent = ? AND epoch = ? AND id IN ' +
        '(SELECT id FROM entries WHERE agent = ? AND epoch = ? ORDER BY id DESC LIMIT ?)',
    ),
    positions: sql(
      `${checked('positions', 'tenant, run, first, last')} WHERE agent = ? ` +
        'ORDER BY tenant, run, first',
    ),
    removePositions: sql('DELETE FROM positions WHERE agent = ? AND tenant = ?'),
    addPosition: sql(insertInto('positions')),
    runs: sql(`${checked('runs', 'run, is_current')} WHERE agent = ?`),
    removeRuns: sql('DELETE FROM runs WHERE agent = ?'),
    addRun: sql(insertInto('runs')),
    tenantAges: sql(checked('tenant_ages', 'tenant, newest, is_bounded')),
    setTenantAge: sql(
      `${insertInto('tenant_ages')} ON CONFLICT DO UPDATE SET newest = excluded.newest, ` +
        'is_bounded = excluded.is_bounded, crc = excluded.crc',
    ),
    agents: sql(checked('agents', 'agent, heard_at, clock_offset')),
    setAgent: sql(
      `${insertInto('agents')} ON CONFLICT DO UPDATE SET heard_at = excluded.heard_at, ` +
        'clock_offset = excluded.clock_offset, crc = excluded.crc',
    ),
    lags: sql(checked('lags', 'agent, tenant, since, is_answered')),
    setLag: sql(
      `${insertInto('lags')} ON CONFLICT DO UPDATE SET since = excluded.since, ` +
        'is_answered = excluded.is_answered, crc = excluded.crc',
    ),
    damagedRows: pluckedEach(
      each((table) => `SELECT count(*) FROM ${table} WHERE NOT ${isIntact(table)}`),
    ),
    keepDamagedRows: each(
      (table) =>
        `INSERT INTO damaged_rows SELECT ?, ${asText(table)} FROM ${table} ` +
        `WHERE NOT ${isIntact(table)} LIMIT ?`,
    ),
    removeDamagedRows: each((table) => `DELETE FROM ${table} WHERE NOT ${isIntact(table)}`),
    boundDamagedRows: sql(
      'DELETE FROM damaged_rows WHERE rowid <= (SELECT max(rowid) FROM damaged_rows) - ?',
    ),
  };
}

function pluckedEach(statements: Record<TableName, Database.Statement<unknown[]>>) {
  for (const statement of Object.values(statements)) statement.pluck();
  return statements;
}

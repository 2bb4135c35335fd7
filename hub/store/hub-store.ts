import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Random } from '../../base/random.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { TenantAge } from '../age-limits.ts';

const SCHEMA = `
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
`;

/** 64-bit numbers are kept as text: readable in the sqlite3 shell, no sign to think of. */
const hex = (id: bigint): string => id.toString(16).padStart(16, '0');
const fromHex = (id: string): bigint => BigInt(`0x${id}`);

/** What the hub remembers of an agent's runs. */
export interface KnownRuns {
  current: bigint | undefined;
  replaced: bigint[];
}

/**
 * The one file that speaks SQL to the hub's database: its copies of the agents' dictionary logs,
 * the positions it has answered for, and the runs it has heard.
 *
 * Losing it is harmless to the data: agents send their dictionaries again.
 */
export class HubStore {
  /** Drawn once, with the database: a hub that lost it is another hub to its agents. */
  readonly hub: bigint;
  readonly #db: Database.Database;
  readonly #statements;

  constructor(dataDir: string, random: Random) {
    mkdirSync(dataDir, { recursive: true });
    this.#db = new Database(join(dataDir, 'hub.db'));
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.exec(SCHEMA);
    this.#statements = prepare(this.#db);
    this.hub = this.#identify(random);
  }

  /** Appends entries to the copy of a log; durable when it returns. */
  addEntries(agent: string, epoch: bigint, firstId: number, entries: readonly Uint8Array[]): void {
    this.#db
      .transaction(() => {
        entries.forEach((entry, index) => {
          this.#statements.addEntry.run(agent, hex(epoch), firstId + index, entry);
        });
      })
      .immediate();
  }

  /** Entries of all epochs of an agent, epoch by epoch, in the order of their ids. */
  *entries(agent: string): Generator<{ epoch: bigint; id: number; entry: Uint8Array }> {
    for (const row of this.#statements.entries.iterate(agent)) {
      const { epoch, id, entry } = row as { epoch: string; id: number; entry: Buffer };
      yield { epoch: fromHex(epoch), id, entry };
    }
  }

  removeEpoch(agent: string, epoch: bigint): void {
    this.#statements.removeEpoch.run(agent, hex(epoch));
  }

  positions(agent: string): { tenant: string; range: PositionRange }[] {
    const rows = this.#statements.positions.all(agent) as {
      tenant: string;
      run: string;
      first: number;
      last: number;
    }[];
    return rows.map(({ tenant, run, first, last }) => ({
      tenant,
      range: { run: fromHex(run), first, last },
    }));
  }

  /** Replaces the answered positions of an agent's tenant. */
  setPositions(agent: string, tenant: string, ranges: Iterable<PositionRange>): void {
    this.#db
      .transaction(() => {
        this.#statements.removePositions.run(agent, tenant);
        for (const { run, first, last } of ranges) {
          this.#statements.addPosition.run(agent, tenant, hex(run), first, last);
        }
      })
      .immediate();
  }

  runs(agent: string): KnownRuns {
    const rows = this.#statements.runs.all(agent) as { run: string; is_current: number }[];
    const current = rows.find((row) => row.is_current === 1);
    return {
      current: current && fromHex(current.run),
      replaced: rows.filter((row) => row.is_current === 0).map(({ run }) => fromHex(run)),
    };
  }

  setRuns(agent: string, { current, replaced }: KnownRuns): void {
    this.#db
      .transaction(() => {
        this.#statements.removeRuns.run(agent);
        for (const run of replaced) this.#statements.addRun.run(agent, hex(run), 0);
        if (current !== undefined) this.#statements.addRun.run(agent, hex(current), 1);
      })
      .immediate();
  }

  tenantAges(): TenantAge[] {
    const rows = this.#statements.tenantAges.all() as {
      tenant: string;
      newest: number;
      is_bounded: number;
    }[];
    return rows.map(({ is_bounded, ...age }) => ({ ...age, isBounded: is_bounded === 1 }));
  }

  setTenantAges(ages: Iterable<TenantAge>): void {
    this.#db
      .transaction(() => {
        for (const { tenant, newest, isBounded } of ages) {
          this.#statements.setTenantAge.run(tenant, newest, isBounded ? 1 : 0);
        }
      })
      .immediate();
  }

  close(): void {
    this.#db.close();
  }

  #identify(random: Random): bigint {
    const known = this.#statements.hubId.get() as { id: string } | undefined;
    if (known !== undefined) return fromHex(known.id);
    const hub = random.id64();
    this.#statements.setHubId.run(hex(hub));
    return hub;
  }
}

function prepare(db: Database.Database) {
  const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
  return {
    hubId: sql('SELECT id FROM hub'),
    setHubId: sql('INSERT INTO hub (id) VALUES (?)'),
    addEntry: sql('INSERT INTO entries (agent, epoch, id, entry) VALUES (?, ?, ?, ?)'),
    entries: sql('SELECT epoch, id, entry FROM entries WHERE agent = ? ORDER BY epoch, id'),
    removeEpoch: sql('DELETE FROM entries WHERE agent = ? AND epoch = ?'),
    positions: sql(
      'SELECT tenant, run, first, last FROM positions WHERE agent = ? ORDER BY tenant, run, first',
    ),
    removePositions: sql('DELETE FROM positions WHERE agent = ? AND tenant = ?'),
    addPosition: sql(
      'INSERT INTO positions (agent, tenant, run, first, last) VALUES (?, ?, ?, ?, ?)',
    ),
    tenantAges: sql('SELECT tenant, newest, is_bounded FROM tenant_ages'),
    setTenantAge: sql(
      'INSERT INTO tenant_ages (tenant, newest, is_bounded) VALUES (?, ?, ?) ON CONFLICT DO ' +
        'UPDATE SET newest = excluded.newest, is_bounded = excluded.is_bounded',
    ),
    runs: sql('SELECT run, is_current FROM runs WHERE agent = ?'),
    removeRuns: sql('DELETE FROM runs WHERE agent = ?'),
    addRun: sql('INSERT INTO runs (agent, run, is_current) VALUES (?, ?, ?)'),
  };
}

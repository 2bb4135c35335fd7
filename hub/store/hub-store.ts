import { type Clock, systemClock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { TenantAge } from '../age-limits.ts';
import type { AgentHeard, TenantLag } from '../agent-lag.ts';
import { StoreUnavailable } from '../store-unavailable.ts';
import { setDamagedRowsAside } from './damaged-rows.ts';
import { DictionaryTable } from './dictionary-table.ts';
import { type Checked, TABLES, type TableName, valuesOf } from './hub-schema.ts';
import { type HubStatements, prepareStatements } from './hub-statements.ts';
import { StoreConnection, type StoreState } from './store-connection.ts';

/** 64-bit numbers are kept as text: readable in the sqlite3 shell, no sign to think of. */
const hex = (id: bigint): string => id.toString(16).padStart(16, '0');
const fromHex = (id: string): bigint => BigInt(`0x${id}`);

/** What the hub remembers of an agent's runs. */
export interface KnownRuns {
  current: bigint | undefined;
  replaced: bigint[];
}

const SILENT: { clock: Clock; log: BoundedLog } = {
  clock: systemClock,
  log: { warn: () => {}, error: () => {} },
};

/**
 * The hub's database: its copies of the agents' dictionary logs, the positions it has answered for,
 * the runs it has heard, and how far each tenant is behind.
 *
 * Losing it is harmless to the data: agents send their dictionaries again. Believing what nobody
 * wrote is not: of one flipped bit in an answered position agents would forget samples that were
 * never written. So every row has a checksum, and what does not agree with it is set aside.
 */
export class HubStore {
  /** Drawn once, with the database: a hub that lost it is another hub to its agents. */
  readonly hub: bigint;
  readonly #connection: StoreConnection<HubStatements>;
  readonly #clock: Clock;
  readonly #dictionaries: DictionaryTable;

  /** @throws Error when the folder cannot be used, or another process uses it; NewerStoreError */
  constructor(dataDir: string, random: Random, tools = SILENT) {
    this.#clock = tools.clock;
    this.#connection = new StoreConnection(dataDir, prepareStatements, tools);
    this.#dictionaries = new DictionaryTable(this.#connection, tools.clock);
    try {
      this.hub = this.#readIn(random);
    } catch (error) {
      this.#connection.close();
      throw error;
    }
    this.#connection.onBegunAnew(() => this.#startOver());
  }

  get state(): Readonly<StoreState> {
    return this.#connection.state;
  }

  /**
   * Calls `listener` when the database has been begun anew while the hub runs, and holds nothing
   * any more of what was stored in it.
   */
  onBegunAnew(listener: () => void): void {
    this.#connection.onBegunAnew(listener);
  }

  /** What `work` stores is committed and synced at once, or none of it is. @throws StoreUnavailable */
  together<T>(work: () => T): T {
    return this.#connection.together(work);
  }

  /** As {@link DictionaryTable.add}. @throws StoreUnavailable */
  addEntries(agent: string, epoch: bigint, firstId: number, entries: readonly Uint8Array[]): void {
    this.#dictionaries.add(agent, hex(epoch), firstId, entries);
  }

  /** As {@link DictionaryTable.of}. @throws StoreUnavailable */
  *entries(agent: string): Generator<{ epoch: bigint; id: number; entry: Uint8Array }> {
    for (const { epoch, ...rest } of this.#dictionaries.of(agent)) {
      yield { epoch: fromHex(epoch), ...rest };
    }
  }

  /** As {@link DictionaryTable.remove}. */
  removeEpoch(agent: string, epoch: bigint): void {
    this.#dictionaries.remove(agent, hex(epoch));
  }

  /** Goes on with removing what is dead; to be called once a second. */
  tidy(): void {
    this.#dictionaries.tidy();
  }

  /** @throws StoreUnavailable */
  positions(agent: string): { tenant: string; range: PositionRange }[] {
    type Row = Checked<{ tenant: string; run: string; first: number; last: number }>;
    const rows = this.#connection.use(({ positions }) => positions.all(agent) as Row[]);
    return this.#intact('positions', rows).map(({ tenant, run, first, last }) => ({
      tenant,
      range: { run: fromHex(run), first, last },
    }));
  }

  /** Replaces the answered positions of an agent's tenant. @throws StoreUnavailable */
  setPositions(agent: string, tenant: string, ranges: Iterable<PositionRange>): void {
    this.#connection.together((statements) => {
      statements.removePositions.run(agent, tenant);
      for (const { run, first, last } of ranges) {
        const values = valuesOf('positions', agent, tenant, hex(run), first, last);
        statements.addPosition.run(...values);
      }
    });
  }

  /** @throws StoreUnavailable */
  runs(agent: string): KnownRuns {
    type Row = Checked<{ run: string; is_current: number }>;
    const all = this.#connection.use(({ runs }) => runs.all(agent) as Row[]);
    const rows = this.#intact('runs', all);
    const current = rows.filter((row) => row.is_current === 1);
    return {
      // Of two nobody knows which: the next one that speaks is it, and none is refused.
      current: current.length === 1 ? fromHex(current[0]!.run) : undefined,
      replaced: rows.filter((row) => row.is_current === 0).map(({ run }) => fromHex(run)),
    };
  }

  /** @throws StoreUnavailable */
  setRuns(agent: string, { current, replaced }: KnownRuns): void {
    this.#connection.together(({ removeRuns, addRun }) => {
      removeRuns.run(agent);
      for (const run of replaced) addRun.run(...valuesOf('runs', agent, hex(run), 0));
      if (current !== undefined) addRun.run(...valuesOf('runs', agent, hex(current), 1));
    });
  }

  /** @throws StoreUnavailable */
  tenantAges(): TenantAge[] {
    type Row = Checked<{ tenant: string; newest: number; is_bounded: number }>;
    const rows = this.#connection.use(({ tenantAges }) => tenantAges.all() as Row[]);
    return this.#intact('tenant_ages', rows).map(({ tenant, newest, is_bounded }) => ({
      tenant,
      newest,
      isBounded: is_bounded === 1,
    }));
  }

  /** @throws StoreUnavailable */
  setTenantAges(ages: Iterable<TenantAge>): void {
    this.#connection.together(({ setTenantAge }) => {
      for (const { tenant, newest, isBounded } of ages) {
        setTenantAge.run(...valuesOf('tenant_ages', tenant, newest, isBounded ? 1 : 0));
      }
    });
  }

  /** @throws StoreUnavailable */
  agentsHeard(): AgentHeard[] {
    type Row = Checked<{ agent: string; heard_at: number; clock_offset: number }>;
    const rows = this.#connection.use(({ agents }) => agents.all() as Row[]);
    return this.#intact('agents', rows).map(({ agent, heard_at, clock_offset }) => ({
      agent,
      atMs: heard_at,
      clockOffsetMs: clock_offset,
    }));
  }

  /** @throws StoreUnavailable */
  lags(): TenantLag[] {
    type Row = Checked<{ agent: string; tenant: string; since: number; is_answered: number }>;
    const rows = this.#connection.use(({ lags }) => lags.all() as Row[]);
    return this.#intact('lags', rows).map(({ agent, tenant, since, is_answered }) => ({
      agent,
      tenant,
      sinceMs: since,
      isAnswered: is_answered === 1,
    }));
  }

  /** @throws StoreUnavailable */
  setLags(heard: Iterable<AgentHeard>, lags: Iterable<TenantLag>): void {
    this.#connection.together(({ setAgent, setLag }) => {
      for (const { agent, atMs, clockOffsetMs } of heard) {
        setAgent.run(...valuesOf('agents', agent, atMs, clockOffsetMs));
      }
      for (const { agent, tenant, sinceMs, isAnswered } of lags) {
        setLag.run(...valuesOf('lags', agent, tenant, sinceMs, isAnswered ? 1 : 0));
      }
    });
  }

  close(): void {
    this.#connection.close();
  }

  /** Checks what is there; returns the hub's id. */
  #readIn(random: Random): bigint {
    try {
      this.#verify();
    } catch (error) {
      // Damage that shows only now: the database has been begun anew.
      if (!(error instanceof StoreUnavailable) || this.state.problem !== undefined) throw error;
    }
    const known = this.#connection.use(({ hubId }) => hubId.get() as { id: string } | undefined);
    if (known !== undefined) return fromHex(known.id);
    const hub = random.id64();
    this.#stamp(hub);
    return hub;
  }

  /** In a database begun anew, which is still that of the same hub. */
  #startOver(): void {
    this.#dictionaries.startOver();
    try {
      this.#stamp(this.hub);
    } catch (error) {
      // It was said what is wrong; after a restart this will be another hub to its agents.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** Says whose database this is. */
  #stamp(hub: bigint): void {
    this.#connection.together(({ setHubId }) => setHubId.run(...valuesOf('hub', hex(hub))));
  }

  /** Sets aside what is damaged, also what no agent would ever ask for under its damaged key. */
  #verify(): void {
    for (const table of TABLES) {
      if (table === 'entries') continue;
      const damaged = this.#connection.use(({ damagedRows }) => damagedRows[table].get() as number);
      if (damaged > 0) setDamagedRowsAside(this.#connection, table, this.#clock.now());
    }
    this.#dictionaries.verify();
  }

  #intact<Row>(table: TableName, rows: readonly Checked<Row>[]): Checked<Row>[] {
    const intact = rows.filter(({ is_intact }) => is_intact === 1);
    if (intact.length < rows.length)
      setDamagedRowsAside(this.#connection, table, this.#clock.now());
    return intact;
  }
}

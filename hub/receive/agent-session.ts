import type { Clock } from '../../base/clock.ts';
import type { HubState, StateReason, TenantState } from '../../proto/answer.ts';
import { DecodeError } from '../../proto/bytes.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { PositionSet } from '../../proto/position-ranges.ts';
import { type SampleDecoder, sampleFormats } from '../../proto/sample-format.ts';
import { StoreUnavailable } from '../store-unavailable.ts';
import type { AgentStore } from './agent-store.ts';
import { ClockOffset } from './clock-offset.ts';
import type { AgePolicy } from './contracts.ts';
import { DictionaryLog, type SeriesCopy } from './dictionary-log.ts';
import type { Row } from './row.ts';
import { RunRegistry } from './run-registry.ts';
import type { TenantWriter } from './tenant-writer.ts';

/** Runs whose answered positions are remembered: what comes back from a backup is rarely older. */
const RUNS_MAX = 100;
/** Of each run: what lies below was answered for long ago and will not come again. */
const RANGES_MAX = 1000;

/** Entries read without letting others have their turn: some 7 ms of the hub's only thread. */
const ENTRIES_PER_TURN = 500;

/** One codec state and the row of its batches. */
export interface OpenStream<Copy extends SeriesCopy> {
  row: Row;
  /** Run of the agent that opened it. */
  run: bigint;
  epoch: bigint;
  log: DictionaryLog<Copy>;
  decoder: SampleDecoder;
}

export interface TenantSession<Copy extends SeriesCopy> {
  /** As the agent names it. */
  tenant: string;
  /** As the destination names it. */
  destinationTenant: string;
  writer: TenantWriter<Copy>;
  answered: PositionSet;
  stream?: OpenStream<Copy>;
  packs?: Row;
  /** The last row that was opened, whether it still is open or not. */
  newestRow?: { run: bigint; id: bigint };
  /** Writes packs beside the live stream, for an agent that sends live samples first. */
  besideWriter?: TenantWriter<Copy>;
}

export interface SessionDeps<Copy extends SeriesCopy> {
  store: AgentStore;
  ages: AgePolicy;
  clock: Clock;
  aheadMaxMs: number;
  createCopy(): Copy;
  createWriter(tenant: string): TenantWriter<Copy>;
  /** What the destination calls a tenant of the agent. */
  destinationTenant(named: string): string;
}

/** All that the hub holds of one agent: runs, dictionary logs, and a stream per tenant. */
export class AgentSession<Copy extends SeriesCopy> {
  readonly agent: string;
  readonly runs: RunRegistry;
  readonly clock = new ClockOffset();
  readonly #deps: SessionDeps<Copy>;
  readonly #logs = new Map<bigint, DictionaryLog<Copy>>();
  readonly #tenants = new Map<string, TenantSession<Copy>>();
  readonly #unsaved = new Set<TenantSession<Copy>>();
  #areRunsUnsaved = false;
  /** Whether what the store had was lost while it was being read. */
  #isStoreLost = false;

  /** @throws StoreUnavailable */
  constructor(agent: string, deps: SessionDeps<Copy>) {
    this.agent = agent;
    this.#deps = deps;
    this.runs = new RunRegistry(deps.store.runs(agent));
    for (const { tenant, range } of deps.store.positions(agent)) {
      this.tenant(tenant).answered.add(range);
    }
  }

  /**
   * Reads the dictionaries that an earlier process of the hub has stored; nothing else is to be
   * done with the session before. Of many entries others get their turn in between.
   *
   * @throws StoreUnavailable
   */
  async load(): Promise<void> {
    const { store, clock } = this.#deps;
    const unreadable = new Set<bigint>();
    let read = 0;
    for (const { epoch, entry } of store.entries(this.agent)) {
      if (++read % ENTRIES_PER_TURN === 0) await clock.sleep(0);
      if (this.#isStoreLost) return;
      if (unreadable.has(epoch)) continue;
      try {
        this.log(epoch).append(entry);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        unreadable.add(epoch);
      }
    }
    // Written by a version that knew more, or less: the agent sends its log again.
    for (const epoch of unreadable) this.#dropEpoch(epoch);
  }

  /** Streams that rely on the copy end with it, or they would go on adding entries to the store. */
  #dropEpoch(epoch: bigint): void {
    this.#deps.store.removeEpoch(this.agent, epoch);
    this.#forgetEpoch(epoch);
  }

  #forgetEpoch(epoch: bigint): void {
    this.#logs.delete(epoch);
    for (const session of this.#tenants.values()) {
      if (session.stream?.epoch === epoch) this.closeStream(session, session.stream);
    }
  }

  /**
   * The store has been begun anew: what is small is saved again with the next `save`, dictionaries
   * the agent sends again.
   */
  storeLost(): void {
    this.#isStoreLost = true;
    for (const epoch of this.#logs.keys()) this.#forgetEpoch(epoch);
    for (const session of this.#tenants.values()) this.#unsaved.add(session);
    this.#areRunsUnsaved = true;
  }

  /** The copy of an epoch's log, empty at first. */
  log(epoch: bigint): DictionaryLog<Copy> {
    let log = this.#logs.get(epoch);
    if (log === undefined) {
      log = new DictionaryLog(this.#deps.createCopy());
      this.#logs.set(epoch, log);
    }
    return log;
  }

  /** Entries held over all epochs. */
  get entries(): number {
    let count = 0;
    for (const { offset } of this.#logs.values()) count += offset;
    return count;
  }

  /**
   * Forgets the epochs that are not in use, as a batch says. One that is sent again may say so of
   * an epoch that began after it was built: the agent then has to send that log once more.
   */
  keepEpochs(inUse: ReadonlySet<bigint>): void {
    for (const epoch of this.#logs.keys()) {
      if (!inUse.has(epoch)) this.#dropEpoch(epoch);
    }
  }

  tenant(tenant: string): TenantSession<Copy> {
    let session = this.#tenants.get(tenant);
    if (session === undefined) {
      const writer = this.#deps.createWriter(tenant);
      const destinationTenant = this.#deps.destinationTenant(tenant);
      session = { tenant, destinationTenant, writer, answered: new PositionSet() };
      this.#tenants.set(tenant, session);
    }
    return session;
  }

  /** The road of packs to the destination: that of the live stream, unless order is not wanted. */
  writer(session: TenantSession<Copy>, { unordered }: { unordered: boolean }): TenantWriter<Copy> {
    if (!unordered) return session.writer;
    session.besideWriter ??= this.#deps.createWriter(session.tenant);
    return session.besideWriter;
  }

  /** Nothing more of a live stream is taken in, nor is the stream known any more. */
  closeStream(session: TenantSession<Copy>, stream: OpenStream<Copy>): void {
    stream.row.close();
    if (session.stream === stream) delete session.stream;
  }

  /** Nothing more is taken in. */
  closeRows(): void {
    for (const { packs, stream } of this.#tenants.values()) {
      packs?.close();
      stream?.row.close();
    }
  }

  /** What is known of the metric families of each tenant, over all epochs in use. */
  *metadata(): Generator<{ named: string; records: ReadonlyMap<string, Uint8Array> }> {
    for (const named of this.#tenants.keys()) {
      for (const { copy } of this.#logs.values()) yield { named, records: copy.metadata(named) };
    }
  }

  /** The tenant whose open stream this is. */
  tenantOfStream(stream: bigint): TenantSession<Copy> | undefined {
    for (const session of this.#tenants.values()) {
      if (session.stream?.row.id === stream) return session;
    }
    return undefined;
  }

  /** Notes what has been answered for; it is saved by the next `save`. */
  answer(session: TenantSession<Copy>, positions: readonly PositionRange[]): void {
    for (const range of positions) session.answered.add(range);
    session.answered.bound({ runsMax: RUNS_MAX, rangesMax: RANGES_MAX });
    this.#unsaved.add(session);
  }

  /** A disk that does not take it at once takes it with the next `save`. */
  saveRuns(): void {
    try {
      this.#deps.store.setRuns(this.agent, this.runs.known());
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#areRunsUnsaved = true;
    }
  }

  /**
   * Writes answered positions to the store: lazily, since redelivery is harmless to the data. What
   * is written counts as saved only when the caller says that all of it was committed.
   *
   * @throws StoreUnavailable
   */
  save(): { committed(): void } {
    const { store } = this.#deps;
    if (this.#areRunsUnsaved) store.setRuns(this.agent, this.runs.known());
    for (const session of this.#unsaved) {
      store.setPositions(this.agent, session.tenant, session.answered.ranges());
    }
    return {
      committed: () => {
        this.#areRunsUnsaved = false;
        this.#unsaved.clear();
      },
    };
  }

  get hasUnsaved(): boolean {
    return this.#areRunsUnsaved || this.#unsaved.size > 0;
  }

  state(reason: StateReason, hubClockMs: number): HubState {
    return {
      reason,
      hub: this.#deps.store.hub,
      epochs: Array.from(this.#logs, ([epoch, log]) => ({
        epoch,
        offset: log.offset,
        hash: log.hashAt(log.offset),
      })),
      tenants: Array.from(this.#tenants.values(), (session) => this.#tenantState(session)),
      currentRun: this.runs.current,
      currentAddress: this.runs.address,
      formats: [...sampleFormats.keys()],
      hubClockMs,
      aheadMaxMs: this.#deps.aheadMaxMs,
    };
  }

  #tenantState(session: TenantSession<Copy>): TenantState {
    const { tenant, destinationTenant, stream, packs, answered } = session;
    const oldestAcceptedMs = this.#deps.ages.oldestAccepted(destinationTenant);
    return {
      tenant,
      ...(stream === undefined ? {} : { live: stream.row.state() }),
      answered: [...answered.ranges()],
      ...(packs === undefined ? {} : { packs: packs.state() }),
      ...(oldestAcceptedMs === undefined ? {} : { oldestAcceptedMs }),
    };
  }
}

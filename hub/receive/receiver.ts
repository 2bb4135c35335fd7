import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { DestinationState } from '../../proto/answer.ts';
import { type Batch, type DictionaryBatch, decodeBatch, withRun } from '../../proto/batch.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { decompressFrame, FrameError, FrameTooLargeError } from '../../proto/zstd.ts';
import { StoreUnavailable } from '../store-unavailable.ts';
import { Admission } from './admission.ts';
import { AgentSession, type SessionDeps } from './agent-session.ts';
import {
  type KnownAgent,
  mayWriteInto,
  type ReceiveLimits,
  type ReceiveMetrics,
} from './contracts.ts';
import { DictionaryIntake } from './dictionary-intake.ts';
import type { SeriesCopy } from './dictionary-log.ts';
import { LiveIntake } from './live-intake.ts';
import { PackIntake } from './pack-intake.ts';
import { type Reply, textReply } from './reply.ts';
import { ReplyMaker } from './reply-maker.ts';

/** A machine that keeps its clock in step is much nearer. */
const CLOCK_OFFSET_MAX_MS = 60_000;

export interface ReceiverDeps<Copy extends SeriesCopy>
  extends Omit<SessionDeps<Copy>, 'createWriter' | 'destinationTenant' | 'aheadMaxMs'> {
  /** @param tenant as the destination names it; @param named as the agent names it */
  createWriter(
    agent: string,
    tenant: string,
    named: string,
  ): ReturnType<SessionDeps<Copy>['createWriter']>;
  /** How the destination does for tenants, as it names them; undefined: nobody knows. */
  destinationState(tenants: readonly string[]): DestinationState | undefined;
  limits: ReceiveLimits;
  metrics: ReceiveMetrics;
  clock: Clock;
  random: Random;
  log: BoundedLog;
}

interface Opening<Copy extends SeriesCopy> {
  session: AgentSession<Copy>;
  loaded: Promise<void>;
}

/** Where everything that agents send comes in: opened, attributed to an agent, and passed on. */
export class Receiver<Copy extends SeriesCopy> {
  readonly #deps: ReceiverDeps<Copy>;
  readonly #sessions = new Map<string, AgentSession<Copy>>();
  /** Sessions that are still reading what was stored. */
  readonly #opening = new Map<string, Opening<Copy>>();
  readonly #agents = new Map<string, KnownAgent>();
  readonly #replies: ReplyMaker;
  readonly #dictionary: DictionaryIntake<Copy>;
  readonly #admission: Admission;
  readonly #live: LiveIntake<Copy>;
  readonly #packs: PackIntake<Copy>;
  #isClosed = false;

  constructor(deps: ReceiverDeps<Copy>) {
    const { limits } = deps;
    this.#deps = deps;
    this.#replies = new ReplyMaker(deps);
    const replies = this.#replies;
    this.#dictionary = new DictionaryIntake({ ...deps, ...limits, replies });
    this.#admission = new Admission(limits, replies);
    const tools = {
      ...deps,
      ...limits,
      hub: deps.store.hub,
      admission: this.#admission,
      replies,
      dictionary: this.#dictionary,
    };
    this.#live = new LiveIntake(tools);
    this.#packs = new PackIntake(tools);
  }

  /** Bytes of decoded batches that wait for the destination. */
  get heldBytes(): number {
    return this.#admission.heldBytes;
  }

  /** Everything the hub holds of an agent, for GET /v1/positions. */
  async positions(agent: KnownAgent): Promise<Reply> {
    try {
      const session = this.#sessions.get(agent.id) ?? (await this.#open(agent));
      return this.#replies.state(session, 'positions');
    } catch (error) {
      if (error instanceof StoreUnavailable) return this.#replies.busy(error.message);
      throw error;
    }
  }

  /** @param address where the agent speaks from, for people */
  async receive(agent: KnownAgent, frame: Uint8Array, address: string): Promise<Reply> {
    if (this.#isClosed) return this.#replies.busy('the hub is stopping');
    try {
      const session = this.#sessions.get(agent.id) ?? (await this.#open(agent));
      const batch = this.#attribute(session, this.#decode(frame));
      if (batch === undefined) return this.#replies.mismatch(session, 'unknown stream');
      return this.#hear(session, batch, address) ?? (await this.#dispatch(session, agent, batch));
    } catch (error) {
      if (error instanceof StoreUnavailable) return this.#replies.busy(error.message);
      if (error instanceof FrameTooLargeError) return textReply(413, error.message);
      if (error instanceof DecodeError || error instanceof FrameError) {
        return textReply(400, error.message);
      }
      throw error;
    }
  }

  /** @throws FrameError, DecodeError */
  #decode(frame: Uint8Array): Batch {
    return decodeBatch(decompressFrame(frame, this.#deps.limits.decodedBytesMax));
  }

  /** Adds what only the stream knows; undefined when it is not open. */
  #attribute(session: AgentSession<Copy>, batch: Batch): Batch | undefined {
    if (batch.lane !== 'live' || batch.sequence === 0) return batch;
    const stream = session.tenantOfStream(batch.stream)?.stream;
    return stream && withRun(batch, stream.run);
  }

  /** Whether the run that speaks is the one that may; a reply says why not. */
  #hear(session: AgentSession<Copy>, batch: Batch, address: string): Reply | undefined {
    const { metrics, log, clock } = this.#deps;
    const { agent, runs } = session;
    const heard = runs.hear(batch.run, address);
    if (heard === 'replaced') {
      log.error(
        `duplicate agent ${agent}`,
        { agent, address, currentAddress: runs.address },
        'two live agents share an id: the older one is refused; give each its own agent_id',
      );
      return this.#replies.mismatch(session, 'duplicate agent');
    }
    if (heard === 'new') session.saveRuns();
    const offsetMs = session.clock.hear(batch.sentAtMs, clock.now());
    metrics.heard(agent, offsetMs);
    if (Math.abs(offsetMs) > CLOCK_OFFSET_MAX_MS) {
      log.warn(
        `clock ${agent}`,
        { agent, behindSeconds: Math.round(offsetMs / 1000) },
        'the clock of an agent is wrong: samples of its machine have wrong timestamps; set it right',
      );
    }
    return undefined;
  }

  #dispatch(session: AgentSession<Copy>, agent: KnownAgent, batch: Batch): Promise<Reply> | Reply {
    switch (batch.lane) {
      case 'heartbeat':
        return this.#beat(agent);
      case 'dictionary':
        return this.#receiveDictionary(session, batch);
      case 'live':
        return this.#live.receive(session, agent, batch);
      case 'pack':
        return this.#packs.receive(session, agent, batch);
    }
  }

  /** What is known of metric families, by tenant of the destination. */
  *metadata(): Generator<{ tenant: string; records: ReadonlyMap<string, Uint8Array> }> {
    for (const [id, session] of this.#sessions) {
      const agent = this.#agents.get(id)!;
      for (const { named, records } of session.metadata()) {
        if (mayWriteInto(agent, named)) yield { tenant: destinationTenant(agent, named), records };
      }
    }
  }

  /**
   * Saves what is saved lazily, all of it with one sync; what a failing disk does not take is tried
   * again with the next call.
   *
   * @throws StoreUnavailable
   */
  save(): void {
    const unsaved = [...this.#sessions.values()].filter((session) => session.hasUnsaved);
    if (unsaved.length === 0) return;
    const saved = this.#deps.store.together(() => unsaved.map((session) => session.save()));
    for (const { committed } of saved) committed();
  }

  /** The store has been begun anew and knows nothing any more. */
  storeLost(): void {
    for (const session of this.#sessions.values()) session.storeLost();
    for (const { session } of this.#opening.values()) session.storeLost();
  }

  /** Takes no more batches, and lets those go that wait for others to come first. */
  close(): void {
    this.#isClosed = true;
    for (const session of this.#sessions.values()) session.closeRows();
  }

  /**
   * The session of an agent that is heard for the first time. Batches that come while it reads what
   * was stored wait for it, and go on in their order.
   *
   * @throws StoreUnavailable when what was stored cannot be read: the next batch tries again
   */
  async #open(agent: KnownAgent): Promise<AgentSession<Copy>> {
    const { id } = agent;
    let opening = this.#opening.get(id);
    if (opening === undefined) {
      const session = this.#createSession(agent);
      opening = { session, loaded: this.#load(agent, session) };
      this.#opening.set(id, opening);
    }
    await opening.loaded;
    return opening.session;
  }

  async #load(agent: KnownAgent, session: AgentSession<Copy>): Promise<void> {
    try {
      await session.load();
      this.#sessions.set(agent.id, session);
      this.#agents.set(agent.id, agent);
    } finally {
      this.#opening.delete(agent.id);
    }
  }

  #createSession(agent: KnownAgent): AgentSession<Copy> {
    const { id } = agent;
    return new AgentSession(id, {
      ...this.#deps,
      aheadMaxMs: this.#deps.limits.aheadMaxMs,
      createWriter: (tenant) =>
        this.#deps.createWriter(id, destinationTenant(agent, tenant), tenant),
      destinationTenant: (tenant) => destinationTenant(agent, tenant),
    });
  }

  #beat({ tenants }: KnownAgent): Reply {
    const { store, destinationState } = this.#deps;
    const more = { hub: store.hub, destination: destinationState(tenants) };
    return this.#replies.answered(0, emptySettlement(), more).reply;
  }

  #receiveDictionary(session: AgentSession<Copy>, batch: DictionaryBatch): Reply {
    const log = session.log(batch.epoch);
    session.keepEpochs(new Set([batch.epoch, ...batch.epochsInUse]));
    const target = { epoch: batch.epoch, log };
    const misfit = this.#dictionary.take(session, target, batch.dictionary);
    if (misfit !== undefined) return misfit;
    return this.#replies.answered(log.offset, emptySettlement(), { hub: this.#deps.store.hub })
      .reply;
  }
}

/** What the agent calls '' is the first tenant it may write into. */
function destinationTenant({ tenants }: KnownAgent, named: string): string {
  return named === '' ? tenants[0]! : named;
}

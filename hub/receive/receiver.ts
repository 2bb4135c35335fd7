import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { type Answer, encodeAnswer, encodeHubState, type StateReason } from '../../proto/answer.ts';
import {
  type Batch,
  type DictionaryBatch,
  type DictionaryPart,
  decodeBatch,
  type LiveBatch,
} from '../../proto/batch.ts';
import { ByteReader, DecodeError } from '../../proto/bytes.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { emptySettlement, type Settlement } from '../../proto/settlement.ts';
import { decompressFrame, FrameError, FrameTooLargeError } from '../../proto/zstd.ts';
import {
  AgentSession,
  type OpenStream,
  type SessionDeps,
  type TenantSession,
} from './agent-session.ts';
import type { DictionaryLog, SeriesCopy } from './dictionary-log.ts';
import { type Reply, textReply } from './reply.ts';
import type { PreparedWrite } from './tenant-writer.ts';

/** An agent as its credentials have shown it. */
export interface KnownAgent {
  id: string;
  /** What it may write into; the first is its default. */
  tenants: readonly string[];
}

export interface ReceiveLimits {
  decodedBytesMax: number;
  /** Decoded batches that wait for the destination, over all agents. */
  heldBytesMax: number;
  seriesPerAgentMax: number;
}

/** What the room reports; the metrics themselves are made in hub/status. */
export interface ReceiveMetrics {
  heard(agent: string, sentAtMs: number): void;
  settled(agent: string, settlement: Settlement, newestTimestamp: number): void;
  event(agent: string, name: string): void;
}

export interface ReceiverDeps<Copy extends SeriesCopy>
  extends Omit<SessionDeps<Copy>, 'createWriter'> {
  /** @param tenant as the destination names it; @param named as the agent names it */
  createWriter(
    agent: string,
    tenant: string,
    named: string,
  ): ReturnType<SessionDeps<Copy>['createWriter']>;
  limits: ReceiveLimits;
  metrics: ReceiveMetrics;
  clock: Clock;
  random: Random;
  log: BoundedLog;
}

/** A decoded sample in columns. */
const SAMPLE_BYTES = 20;
const BUSY_RETRY_MAX_SECONDS = 5;

/**
 * Takes batches in: `admitted → decoded → writing → answered`.
 *
 * A batch is refused with 503 only before it is decoded: afterwards the stream's codec state has
 * moved, and the answer waits for the destination. A resend of the batch that is being written
 * joins it.
 */
export class Receiver<Copy extends SeriesCopy> {
  readonly #deps: ReceiverDeps<Copy>;
  readonly #sessions = new Map<string, AgentSession<Copy>>();
  #heldBytes = 0;
  #isClosed = false;

  constructor(deps: ReceiverDeps<Copy>) {
    this.#deps = deps;
  }

  /** Bytes of decoded batches that wait for the destination. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Everything the hub holds of an agent, for GET /v1/positions. */
  positions(agent: KnownAgent): Reply {
    const state = this.#session(agent).state('positions', this.#deps.clock.now());
    return { status: 200, body: encodeHubState(state) };
  }

  /** @param address where the agent speaks from, for people */
  async receive(agent: KnownAgent, frame: Uint8Array, address: string): Promise<Reply> {
    const { limits, metrics, log } = this.#deps;
    if (this.#isClosed) return this.#busy('the hub is stopping');
    let batch: Batch;
    try {
      batch = decodeBatch(decompressFrame(frame, limits.decodedBytesMax));
    } catch (error) {
      if (error instanceof FrameTooLargeError) return textReply(413, error.message);
      if (error instanceof DecodeError || error instanceof FrameError) {
        return textReply(400, error.message);
      }
      throw error;
    }
    const session = this.#session(agent);
    const heard = session.runs.hear(batch.run, address);
    if (heard === 'replaced') {
      metrics.event(agent.id, 'duplicate agent');
      log.error(
        `duplicate agent ${agent.id}`,
        { agent: agent.id, address, currentAddress: session.runs.address },
        'two live agents share an id: the older one is refused; give each its own agent_id',
      );
      return this.#mismatch(session, 'duplicate agent');
    }
    if (heard === 'new') this.#deps.store.setRuns(agent.id, session.runs.known());
    metrics.heard(agent.id, batch.sentAtMs);
    try {
      switch (batch.lane) {
        case 'heartbeat':
          return this.#answered(undefined, emptySettlement()).reply;
        case 'dictionary':
          return this.#receiveDictionary(session, batch);
        case 'live':
          return await this.#receiveLive(session, agent, batch);
      }
    } catch (error) {
      if (error instanceof DecodeError) return textReply(400, error.message);
      throw error;
    }
  }

  /** Saves what is saved lazily. */
  save(): void {
    for (const session of this.#sessions.values()) session.save();
  }

  /** Takes no more batches. */
  close(): void {
    this.#isClosed = true;
  }

  #session({ id, tenants }: KnownAgent): AgentSession<Copy> {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      session = new AgentSession(id, {
        ...this.#deps,
        createWriter: (tenant) =>
          this.#deps.createWriter(id, tenant === '' ? tenants[0]! : tenant, tenant),
      });
      this.#sessions.set(id, session);
    }
    return session;
  }

  #receiveDictionary(session: AgentSession<Copy>, batch: DictionaryBatch): Reply {
    const log = session.log(batch.epoch);
    const target = { epoch: batch.epoch, log };
    const misfit = this.#takeDictionary(session, target, batch.dictionary);
    return misfit ?? this.#answered(log, emptySettlement()).reply;
  }

  /** Adds a part of the agent's log to the copy, durably; a reply says why it does not fit. */
  #takeDictionary(
    session: AgentSession<Copy>,
    { epoch, log }: { epoch: bigint; log: DictionaryLog<Copy> },
    part: DictionaryPart,
  ): Reply | undefined {
    if (session.entries + countEntries(part) > this.#deps.limits.seriesPerAgentMax) {
      return this.#mismatch(session, 'dictionary full');
    }
    const verdict = log.take(part);
    if (verdict.kind === 'behind') return this.#mismatch(session, 'dictionary behind');
    if (verdict.kind === 'diverged') return this.#mismatch(session, 'diverged');
    if (verdict.entries.length === 0) return undefined;
    try {
      this.#deps.store.addEntries(session.agent, epoch, verdict.firstId, verdict.entries);
    } catch (error) {
      log.copy.truncate(verdict.firstId);
      this.#deps.log.error('store', { err: error }, 'cannot write to hub.db: check the disk');
      return this.#busy('the hub cannot store the dictionary');
    }
    return undefined;
  }

  async #receiveLive(
    session: AgentSession<Copy>,
    agent: KnownAgent,
    batch: LiveBatch,
  ): Promise<Reply> {
    const { keyframe } = batch;
    const tenant = session.tenantOfStream(batch.stream);
    if (tenant !== undefined) return this.#receiveNext(session, tenant, batch);
    if (keyframe === undefined) return this.#mismatch(session, 'unknown stream');
    if (keyframe.tenant !== '' && !agent.tenants.includes(keyframe.tenant)) {
      return textReply(403, `agent ${agent.id} may not write into tenant ${keyframe.tenant}`);
    }
    const format = sampleFormats.get(keyframe.samplesFormat);
    if (format === undefined) {
      return { ...this.#mismatch(session, 'positions'), status: 415 };
    }
    const opened = session.tenant(keyframe.tenant);
    const log = session.log(keyframe.epoch);
    session.keepEpochs(new Set([keyframe.epoch, ...keyframe.epochsInUse]));
    const decoder = format.createDecoder();
    const stream = { id: batch.stream, epoch: keyframe.epoch, log, decoder, nextSequence: 0 };
    return await this.#admit(session, opened, stream, batch);
  }

  /** A batch of the stream that is open: the next one, or the last one again. */
  async #receiveNext(
    session: AgentSession<Copy>,
    tenant: TenantSession<Copy>,
    batch: LiveBatch,
  ): Promise<Reply> {
    const stream = tenant.stream!;
    if (batch.sequence === stream.nextSequence - 1) return await stream.reply!;
    if (batch.sequence !== stream.nextSequence) return this.#mismatch(session, 'gap');
    if (stream.answer === undefined) return this.#busy('the batch before is being written');
    return await this.#admit(session, tenant, stream, batch);
  }

  /** From admission to the answer; `stream` is either the open one or one that is to be opened. */
  async #admit(
    session: AgentSession<Copy>,
    tenant: TenantSession<Copy>,
    stream: OpenStream<Copy>,
    batch: LiveBatch,
  ): Promise<Reply> {
    const { limits } = this.#deps;
    if (coverage(tenant, batch) === 'some') return this.#mismatch(session, 'partly answered');
    const bytes = batch.samplesCount * SAMPLE_BYTES;
    if (bytes > limits.decodedBytesMax) {
      return textReply(413, `${batch.samplesCount} samples are more than a batch may hold`);
    }
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > limits.heldBytesMax) {
      return this.#busy('the hub holds too much that the destination has not taken yet');
    }
    if (batch.dictionary !== undefined) {
      const misfit = this.#takeDictionary(session, stream, batch.dictionary);
      if (misfit !== undefined) return misfit;
    }
    const columns = new SampleColumns(batch.samplesCount);
    stream.decoder.decode(batch.samples, batch.samplesCount, columns);
    const { mayBeRedelivered } = batch;
    const prepared = tenant.writer.prepare({ columns, mayBeRedelivered }, stream.log.copy);
    if (prepared.kind === 'malformed') {
      // The decoder has moved on: only a new stream can bring both ends together again.
      if (tenant.stream === stream) delete tenant.stream;
      return textReply(400, prepared.message);
    }
    const isNew = tenant.stream !== stream;
    if (isNew) tenant.writer.cancelQueued();
    tenant.stream = stream;
    stream.nextSequence = batch.sequence + 1;
    delete stream.answer;
    const write = { ...prepared.write, isNew, newestTimestamp: newest(columns) };
    stream.reply = this.#write(session, tenant, stream, batch, write);
    return await stream.reply;
  }

  /** Writes a decoded batch; what the old stream has in flight goes first. */
  async #write(
    session: AgentSession<Copy>,
    tenant: TenantSession<Copy>,
    stream: OpenStream<Copy>,
    batch: LiveBatch,
    write: PreparedWrite & { isNew: boolean; newestTimestamp: number },
  ): Promise<Reply> {
    this.#heldBytes += write.heldBytes;
    try {
      if (write.isNew) await tenant.writer.idle();
      if (tenant.stream !== stream) return this.#mismatch(session, 'unknown stream');
      const settlement = await this.#settle(tenant, batch, write);
      if (typeof settlement === 'string') {
        if (tenant.stream === stream) delete tenant.stream;
        return this.#mismatch(session, settlement);
      }
      session.answer(tenant, batch.positions);
      this.#deps.metrics.settled(session.agent, settlement, write.newestTimestamp);
      const { answer, reply } = this.#answered(stream.log, settlement);
      stream.answer = answer;
      return reply;
    } finally {
      this.#heldBytes -= write.heldBytes;
    }
  }

  /** What became of the samples, or why the stream cannot go on. */
  async #settle(
    tenant: TenantSession<Copy>,
    batch: LiveBatch,
    write: PreparedWrite,
  ): Promise<Settlement | StateReason> {
    // Asked again: while we waited, the old stream may have been answered for the same segments.
    switch (coverage(tenant, batch)) {
      case 'some':
        return 'partly answered';
      case 'all':
        return { ...emptySettlement(), redelivered: batch.samplesCount };
      case 'none': {
        const result = await write.settle();
        return result.kind === 'settled' ? result.settlement : 'unknown stream';
      }
    }
  }

  #answered(
    log: DictionaryLog<Copy> | undefined,
    settlement: Settlement,
  ): { answer: Answer; reply: Reply } {
    const answer: Answer = {
      settlement,
      dictionaryOffset: log?.offset ?? 0,
      hubClockMs: this.#deps.clock.now(),
    };
    return { answer, reply: { status: 200, body: encodeAnswer(answer) } };
  }

  #mismatch(session: AgentSession<Copy>, reason: StateReason): Reply {
    this.#deps.metrics.event(session.agent, reason);
    const state = session.state(reason, this.#deps.clock.now());
    return { status: 409, body: encodeHubState(state) };
  }

  /** Spread, so that agents that were refused together do not return together. */
  #busy(message: string): Reply {
    const retryAfterSeconds = 1 + Math.floor(this.#deps.random.float() * BUSY_RETRY_MAX_SECONDS);
    return { ...textReply(503, message), retryAfterSeconds };
  }
}

/** How much of a batch has been answered for already. */
function coverage<Copy extends SeriesCopy>(
  { answered }: TenantSession<Copy>,
  { positions }: LiveBatch,
): 'none' | 'some' | 'all' {
  const found = new Set(positions.map((range) => answered.coverage(range)));
  if (found.has('some') || found.size > 1) return 'some';
  return found.has('all') ? 'all' : 'none';
}

function newest({ timestamps, count }: SampleColumns): number {
  let newestMs = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row++) newestMs = Math.max(newestMs, timestamps[row]!);
  return newestMs;
}

function countEntries({ entries }: DictionaryPart): number {
  const reader = new ByteReader(entries);
  let count = 0;
  for (; !reader.done; count++) reader.skip(reader.varint());
  return count;
}

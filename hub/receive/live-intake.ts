import type { Clock } from '../../base/clock.ts';
import { type Answer, LIVE_ANSWERS_MAX, type StateReason } from '../../proto/answer.ts';
import type { LiveBatch } from '../../proto/batch.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import type { Admission } from './admission.ts';
import type { AgentSession, OpenStream, TenantSession } from './agent-session.ts';
import { type AgePolicy, type KnownAgent, mayWriteInto, type ReceiveMetrics } from './contracts.ts';
import { coverage } from './coverage.ts';
import type { DictionaryIntake } from './dictionary-intake.ts';
import type { SeriesCopy } from './dictionary-log.ts';
import { type Reply, textReply } from './reply.ts';
import type { ReplyMaker } from './reply-maker.ts';
import { Row } from './row.ts';
import { NOTHING_NEW, type PreparedWrite, type Settled } from './tenant-writer.ts';

export interface LiveIntakeDeps<Copy extends SeriesCopy> {
  /** Id of this hub. */
  hub: bigint;
  seriesPerAgentMax: number;
  admission: Admission;
  ages: AgePolicy;
  metrics: ReceiveMetrics;
  replies: ReplyMaker;
  dictionary: DictionaryIntake<Copy>;
  clock: Clock;
}

/**
 * Takes batches of samples in: `admitted → decoded → writing → answered`.
 *
 * A batch is refused with 503 only before it is decoded: afterwards the stream's codec state has
 * moved, and the answer waits for the destination. The next one is taken in meanwhile. A resend of a
 * batch that is being written joins it. A new stream cancels what is queued of the old one and writes
 * its first sample when nothing of the old one is in flight any more.
 */
export class LiveIntake<Copy extends SeriesCopy> {
  readonly #deps: LiveIntakeDeps<Copy>;

  constructor(deps: LiveIntakeDeps<Copy>) {
    this.#deps = deps;
  }

  /** Takes one batch in; resolves with the reply, which may take as long as the destination does. */
  async receive(session: AgentSession<Copy>, agent: KnownAgent, batch: LiveBatch): Promise<Reply> {
    const { keyframe } = batch;
    const tenant = session.tenantOfStream(batch.stream);
    if (tenant !== undefined) return this.#receiveNext(session, tenant, batch);
    if (keyframe === undefined) return this.#deps.replies.mismatch(session, 'unknown stream');
    if (!mayWriteInto(agent, keyframe.tenant)) {
      return this.#deps.replies.forbidden(agent, keyframe.tenant);
    }
    const format = sampleFormats.get(keyframe.samplesFormat);
    if (format === undefined) {
      return { ...this.#deps.replies.state(session, 'positions'), status: 415 };
    }
    const opened = session.tenant(keyframe.tenant);
    const log = session.log(keyframe.epoch);
    session.keepEpochs(new Set([keyframe.epoch, ...keyframe.epochsInUse]));
    const decoder = format.createDecoder(this.#deps.seriesPerAgentMax);
    const row = new Row(batch.stream, LIVE_ANSWERS_MAX);
    const stream = { row, run: batch.run, epoch: keyframe.epoch, log, decoder };
    return await this.#admit(session, opened, stream, batch);
  }

  /** A batch of the stream that is open: the next one, one that comes early, or one of late again. */
  async #receiveNext(
    session: AgentSession<Copy>,
    tenant: TenantSession<Copy>,
    batch: LiveBatch,
  ): Promise<Reply> {
    const { replies, clock } = this.#deps;
    const { sequence } = batch;
    const stream = tenant.stream!;
    const { row } = stream;
    await row.turnOf(sequence, clock);
    if (row.isClosed) return replies.mismatch(session, 'unknown stream');
    const taken = row.taken(sequence);
    if (taken !== undefined) return await taken.reply;
    if (sequence > row.nextSequence) {
      return replies.busy('a batch that was sent before this one is missing');
    }
    if (sequence < row.nextSequence) return replies.mismatch(session, 'gap');
    return await this.#admit(session, tenant, stream, batch);
  }

  /** From admission to the answer; `stream` is either the open one or one that is to be opened. */
  async #admit(
    session: AgentSession<Copy>,
    tenant: TenantSession<Copy>,
    stream: OpenStream<Copy>,
    batch: LiveBatch,
  ): Promise<Reply> {
    this.#deps.metrics.offered(session.agent, tenant.destinationTenant);
    if (coverage(tenant.answered, batch.positions) === 'some')
      return this.#deps.replies.mismatch(session, 'partly answered');
    const refusal = this.#deps.admission.refuse(tenant.destinationTenant, batch.samplesCount);
    if (refusal !== undefined) return refusal;
    if (batch.dictionary !== undefined) {
      const misfit = this.#deps.dictionary.take(session, stream, batch.dictionary);
      if (misfit !== undefined) return misfit;
    }
    const columns = new SampleColumns(batch.samplesCount);
    stream.decoder.decode(batch.samples, batch.samplesCount, columns);
    const { mayBeRedelivered } = batch;
    const prepared = tenant.writer.prepare({ columns, mayBeRedelivered }, stream.log.copy);
    if (prepared.kind === 'malformed') {
      // The decoder has moved on: only a new stream can bring both ends together again.
      session.closeStream(tenant, stream);
      return textReply(400, prepared.message);
    }
    if (tenant.stream !== stream) this.#open(session, tenant, stream);
    return await stream.row.take(async (taken) => {
      const { reply, answer } = await this.#write(session, tenant, stream, batch, prepared.write);
      if (answer !== undefined) taken.answer = answer;
      return reply;
    });
  }

  /** What is queued of the stream before will be sent again. */
  #open(session: AgentSession<Copy>, tenant: TenantSession<Copy>, stream: OpenStream<Copy>): void {
    if (tenant.stream !== undefined) session.closeStream(tenant, tenant.stream);
    tenant.writer.cancelQueued();
    stream.row.ready = tenant.writer.idle();
    tenant.stream = stream;
  }

  /** Writes a decoded batch; what the old stream has in flight goes first. */
  async #write(
    session: AgentSession<Copy>,
    tenant: TenantSession<Copy>,
    stream: OpenStream<Copy>,
    batch: LiveBatch,
    write: PreparedWrite,
  ): Promise<{ reply: Reply; answer?: Answer }> {
    const { replies } = this.#deps;
    let isWritten = false;
    this.#deps.admission.hold(tenant.destinationTenant, write.heldBytes);
    try {
      await stream.row.ready;
      if (stream.row.isClosed) return { reply: replies.mismatch(session, 'unknown stream') };
      const settled = await this.#settle(tenant, batch, write);
      if (typeof settled === 'string') {
        // Those behind it find out at once: nothing may be written that is newer than what is not.
        session.closeStream(tenant, stream);
        return { reply: replies.mismatch(session, settled) };
      }
      const { settlement, newestMs } = settled;
      session.answer(tenant, batch.positions);
      this.#deps.metrics.settled(session.agent, settlement, newestMs, tenant.destinationTenant);
      const answered = replies.answered(stream.log.offset, settlement, {
        hub: batch.sequence === 0 ? this.#deps.hub : undefined,
        oldestAcceptedMs: this.#deps.ages.oldestAccepted(tenant.destinationTenant),
      });
      isWritten = true;
      return answered;
    } finally {
      this.#deps.admission.release(tenant.destinationTenant, write.heldBytes);
      // Given up, whatever the reason: the agent has to open another stream.
      if (!isWritten) session.closeStream(tenant, stream);
    }
  }

  /** What became of the samples, or why the stream cannot go on. */
  async #settle(
    tenant: TenantSession<Copy>,
    batch: LiveBatch,
    write: PreparedWrite,
  ): Promise<Settled | StateReason> {
    // Asked again: while we waited, the old stream may have been answered for the same segments.
    switch (coverage(tenant.answered, batch.positions)) {
      case 'some':
        return 'partly answered';
      case 'all':
        return {
          settlement: { ...emptySettlement(), redelivered: batch.samplesCount },
          newestMs: NOTHING_NEW,
        };
      case 'none': {
        const result = await write.settle();
        return result.kind === 'settled' ? result : 'unknown stream';
      }
    }
  }
}

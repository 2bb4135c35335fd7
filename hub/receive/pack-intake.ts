import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { PACK_ANSWERS_MAX } from '../../proto/answer.ts';
import type { PackBatch } from '../../proto/batch.ts';
import { decodePack } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { emptySettlement, type Settlement } from '../../proto/settlement.ts';
import type { Admission } from './admission.ts';
import type { AgentSession, TenantSession } from './agent-session.ts';
import { type AgePolicy, type KnownAgent, mayWriteInto, type ReceiveMetrics } from './contracts.ts';
import { coverage } from './coverage.ts';
import type { DictionaryIntake } from './dictionary-intake.ts';
import type { DictionaryLog, SeriesCopy } from './dictionary-log.ts';
import { type Reply, textReply } from './reply.ts';
import type { ReplyMaker } from './reply-maker.ts';
import { Row } from './row.ts';
import { NOTHING_NEW, type PreparedWrite, type TenantWriter } from './tenant-writer.ts';

/** Packs may fill half of what the hub holds: live batches are fresh, and agents have few. */
const SHARE = 0.5;

export interface PackIntakeDeps<Copy extends SeriesCopy> {
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

/** A pack on its way through the intake. */
interface Incoming<Copy extends SeriesCopy> {
  session: AgentSession<Copy>;
  tenant: TenantSession<Copy>;
  log: DictionaryLog<Copy>;
  batch: PackBatch;
}

/**
 * Takes packs in. Each stands for itself, so several may be under way: the next is taken in while
 * those before it are being written, and the lanes keep their order. A pack that was answered for
 * in part, because the agent packed what an earlier run of it had sent, is written whole.
 */
export class PackIntake<Copy extends SeriesCopy> {
  readonly #deps: PackIntakeDeps<Copy>;

  constructor(deps: PackIntakeDeps<Copy>) {
    this.#deps = deps;
  }

  /** Takes one pack in; resolves with the reply, which may take as long as the destination does. */
  async receive(session: AgentSession<Copy>, agent: KnownAgent, batch: PackBatch): Promise<Reply> {
    const { replies, clock } = this.#deps;
    const { keyframe, stream, sequence } = batch;
    if (!mayWriteInto(agent, keyframe.tenant)) {
      return replies.forbidden(agent, keyframe.tenant);
    }
    if (!sampleFormats.has(keyframe.samplesFormat)) {
      return { ...replies.state(session, 'positions'), status: 415 };
    }
    const tenant = session.tenant(keyframe.tenant);
    this.#deps.metrics.offered(session.agent, tenant.destinationTenant);
    const row = tenant.packs?.id === stream ? tenant.packs : undefined;
    const isUnknown = row === undefined && (sequence > 0 || isLate(tenant, batch));
    if (isUnknown) return replies.mismatch(session, 'unknown stream');
    // Nothing is awaited where there is no row: of two first packs one would open it once more.
    if (row !== undefined) await row.turnOf(sequence, clock);
    if (row?.isClosed === true) return replies.mismatch(session, 'unknown stream');
    const taken = row?.taken(sequence);
    if (taken !== undefined) return await taken.reply;
    const next = row?.nextSequence ?? 0;
    if (sequence > next) return replies.busy('a pack that was sent before this one is missing');
    if (sequence < next) return replies.mismatch(session, 'gap');
    session.keepEpochs(new Set([keyframe.epoch, ...keyframe.epochsInUse]));
    const log = session.log(keyframe.epoch);
    return await this.#admit({ session, tenant, log, batch }, row);
  }

  /** From admission to the answer. @param row absent: the pack opens one */
  async #admit(incoming: Incoming<Copy>, row: Row | undefined): Promise<Reply> {
    const { session, tenant, log, batch } = incoming;
    const { admission, dictionary, seriesPerAgentMax } = this.#deps;
    const { samplesCount, keyframe } = batch;
    const refusal = admission.refuse(tenant.destinationTenant, samplesCount, SHARE);
    if (refusal !== undefined) return refusal;
    const misfit = dictionary.take(session, { epoch: keyframe.epoch, log }, batch.dictionary);
    if (misfit !== undefined) return misfit;
    const columns = new SampleColumns(samplesCount);
    const { samplesFormat: format } = keyframe;
    const what = { format, samples: samplesCount, idsMax: seriesPerAgentMax };
    decodePack(batch.samples, what, columns);
    const answered = coverage(tenant.answered, batch.positions);
    const mayBeRedelivered = batch.mayBeRedelivered || answered !== 'none';
    const writer = session.writer(tenant, batch);
    const prepared = writer.prepare({ columns, mayBeRedelivered }, log.copy);
    if (prepared.kind === 'malformed') return textReply(400, prepared.message);
    const open = row ?? this.#open(tenant, writer, batch);
    return await open.take(async (pack) => {
      const settlement = await this.#settle(open, incoming, prepared.write);
      if (settlement === undefined) return this.#deps.replies.mismatch(session, 'unknown stream');
      const { reply, answer } = this.#deps.replies.answered(log.offset, settlement, {
        hub: this.#deps.hub,
        oldestAcceptedMs: this.#deps.ages.oldestAccepted(tenant.destinationTenant),
      });
      pack.answer = answer;
      return reply;
    });
  }

  /** What is queued of the row before, or of the live stream, will be sent again. */
  #open(tenant: TenantSession<Copy>, writer: TenantWriter<Copy>, batch: PackBatch): Row {
    assert(batch.sequence === 0, 'a row of packs that does not begin at its beginning');
    tenant.packs?.close();
    writer.cancelQueued();
    const { run, stream: id } = batch;
    tenant.newestRow = { run, id };
    const row = new Row(id, PACK_ANSWERS_MAX);
    row.ready = writer.idle();
    tenant.packs = row;
    return row;
  }

  /** What became of the samples; undefined when they have to be sent again. */
  async #settle(
    row: Row,
    { session, tenant, batch }: Incoming<Copy>,
    write: PreparedWrite,
  ): Promise<Settlement | undefined> {
    const { admission, metrics } = this.#deps;
    admission.hold(tenant.destinationTenant, write.heldBytes);
    try {
      await row.ready;
      if (row.isClosed) return undefined;
      // Asked only now: what was in flight before may have answered for the same segments.
      const settled =
        coverage(tenant.answered, batch.positions) === 'all'
          ? redelivered(batch.samplesCount)
          : await write.settle();
      if (settled.kind === 'cancelled') {
        this.#close(tenant, row);
        return undefined;
      }
      session.answer(tenant, batch.positions);
      const { settlement, newestMs } = settled;
      metrics.settled(session.agent, settlement, newestMs, tenant.destinationTenant);
      return settlement;
    } catch (error) {
      this.#close(tenant, row);
      throw error;
    } finally {
      admission.release(tenant.destinationTenant, write.heldBytes);
    }
  }

  /** Given up: the agent has to open another row. */
  #close(tenant: TenantSession<Copy>, row: Row): void {
    row.close();
    if (tenant.packs === row) delete tenant.packs;
  }
}

function redelivered(count: number) {
  const settlement = { ...emptySettlement(), redelivered: count };
  return { kind: 'settled', settlement, newestMs: NOTHING_NEW } as const;
}

/** A first pack that has been overtaken by the row behind its own would cancel that one's packs. */
function isLate<Copy extends SeriesCopy>(
  { newestRow }: TenantSession<Copy>,
  { run, stream }: PackBatch,
): boolean {
  return newestRow?.run === run && stream <= newestRow.id;
}

import type { Answer } from '../../proto/answer.ts';
import { settledCount } from '../../proto/settlement.ts';
import type { EncodedBatch, ShipTools } from './contracts.ts';
import type { HubReply } from './hub-client.ts';
import type { Traffic } from './link-turns.ts';
import type { Replies } from './replies.ts';
import { findBatch } from './whereabouts.ts';

/** Asking what became of a batch is cheaper than sending more than this again. */
const LARGE_FRAME_BYTES = 4096;

export interface Answered {
  kind: 'answered';
  answer: Answer;
  /** See HubReply. */
  exchangeBytes: number | undefined;
}

export type Delivered =
  | Answered
  /** It does not fit what the hub holds; `reply` says why and is yet to be settled. */
  | { kind: 'misfit'; reply: HubReply }
  | { kind: 'given up' };

/** What became of a batch: the hub's reply to it or to a question, or what the latter means. */
type Found = HubReply | 'not there' | 'early' | 'being written';

export interface BatchDeliveryDeps {
  tenant: string;
  traffic: Traffic;
  /** Sequence of the oldest batch of the row that is under way. */
  first(): number;
  tools: Pick<ShipTools, 'link'>;
  replies: Replies;
  /** The hub was cut off in the batch and does not have it; whether it may die of such batches. */
  isDeadly(): boolean;
}

/** Sends the bytes of a batch until it is answered, or turns out not to fit what the hub holds. */
export class BatchDelivery {
  readonly #deps: BatchDeliveryDeps;

  constructor(deps: BatchDeliveryDeps) {
    this.#deps = deps;
  }

  async deliver(batch: EncodedBatch, signal: AbortSignal): Promise<Delivered> {
    const { replies } = this.#deps;
    let isToBeAsked = false;
    let mayBeThere = false;
    let isCutOff = false;
    while (!signal.aborted) {
      const found = isToBeAsked
        ? await this.#askFor(batch, signal)
        : await this.#post(batch, signal);
      const reply = found === 'early' ? 'not there' : found;
      mayBeThere = reply !== 'not there' && (mayBeThere || !isTurnedAway(reply));
      isToBeAsked = this.#isToBeAsked(batch, reply, mayBeThere);
      if (isCutOff && isWithout(reply)) {
        isCutOff = false;
        if (this.#deps.isDeadly()) return { kind: 'misfit', reply: deadly(batch) };
      }
      if (reply === 'not there') continue;
      if (reply === 'being written') {
        await replies.pause(signal);
        continue;
      }
      if (reply.kind === 'answer' && settledCount(reply.answer.settlement) === batch.samples) {
        return { kind: 'answered', answer: reply.answer, exchangeBytes: reply.exchangeBytes };
      }
      if (isMisfit(reply)) return { kind: 'misfit', reply };
      isCutOff ||= reply.kind === 'unreachable' && reply.isCutOff === true;
      await replies.settle(withoutFalseAnswer(reply), signal);
    }
    return { kind: 'given up' };
  }

  /**
   * Whether to ask what became of a batch before it is sent again. One that others were before is
   * asked for even when it was turned away: the hub may wait for one of them that it has forgotten,
   * and that will not come again.
   */
  #isToBeAsked(batch: EncodedBatch, reply: Exclude<Found, 'early'>, mayBeThere: boolean): boolean {
    if (reply === 'not there') return false;
    if (this.#deps.traffic === 'backlog') return true;
    if (isTurnedAway(reply) && batch.sequence > 0) return true;
    return mayBeThere && isWorthAsking(batch);
  }

  /**
   * Sends a batch. While nothing moves the hub is asked for it, over another connection: this one
   * may be dead, or wait for minutes until it tries again. What was found is the reply then.
   */
  async #post(batch: EncodedBatch, signal: AbortSignal): Promise<Found> {
    const { tools, traffic } = this.#deps;
    let found: Found | undefined;
    const reply = await tools.link.postBatch(batch.frame, signal, traffic, async () => {
      const asked = await this.#askFor(batch, signal);
      // One that waits at the hub for another before it would only wait there once more.
      if (asked === 'being written' || asked === 'early') return 'wait';
      if (asked !== 'not there' && isNoWord(asked)) return 'unheard';
      found = asked;
      return 'over';
    });
    const isOver = reply.kind === 'unreachable' && reply.isOver === true;
    return isOver && found !== undefined ? found : reply;
  }

  /** What became of a batch whose answer did not arrive. */
  async #askFor(batch: EncodedBatch, signal: AbortSignal): Promise<Found> {
    const { tools, tenant, traffic } = this.#deps;
    // As it is now: what is answered meanwhile was under way when the hub says what it holds.
    const first = this.#deps.first();
    const reply = await tools.link.askPositions(signal);
    if (reply.kind !== 'state') return reply;
    const ours = reply.state.tenants.find((state) => state.tenant === tenant);
    const row = traffic === 'live' ? ours?.live : ours?.packs;
    const found = ours && findBatch(row, batch, first);
    if (found === undefined) return reply;
    return typeof found === 'string' ? found : { kind: 'answer', answer: found };
  }
}

/**
 * The first batch of a stream is asked for whatever its size: a hub that was killed while it wrote
 * the batch would take the same bytes for new, and count what it writes twice as refused instead of
 * redelivered.
 */
function isWorthAsking({ sequence, frame }: EncodedBatch): boolean {
  return sequence === 0 || frame.length > LARGE_FRAME_BYTES;
}

/** Whether a question was not answered by the hub. */
function isNoWord({ kind }: HubReply): boolean {
  return kind !== 'state' && kind !== 'answer';
}

/** Whether the same bytes will never do. */
function isMisfit({ kind }: HubReply): boolean {
  return (
    kind === 'state' ||
    kind === 'unreadable_format' ||
    kind === 'too_large' ||
    kind === 'unreadable'
  );
}

/**
 * An answer that does not account for every sample comes from something else than a hub: an empty
 * body with status 200, as some proxies send it, reads as an answer of zeros.
 */
function withoutFalseAnswer(reply: HubReply): HubReply {
  if (reply.kind !== 'answer') return reply;
  return { kind: 'misconfigured', message: 'an answer that does not account for every sample' };
}

/** A hub that names a time to come back has not taken the batch; a gateway that timed out may. */
function isTurnedAway(reply: Exclude<Found, 'not there' | 'early'>): boolean {
  return reply !== 'being written' && reply.kind === 'busy' && reply.retryAfterMs !== undefined;
}

/** Whether the hub says that it does not have the batch. */
function isWithout(reply: Exclude<Found, 'early'>): boolean {
  return reply === 'not there' || (reply !== 'being written' && reply.kind === 'state');
}

function deadly({ frame, samples }: EncodedBatch): HubReply {
  const what = `${samples} samples, ${frame.length} bytes`;
  return { kind: 'too_large', message: `the hub is cut off again and again in a batch of ${what}` };
}

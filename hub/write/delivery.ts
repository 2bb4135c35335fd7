import { unreachable } from '../../base/assert.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { parseRetryAfter } from '../../base/retry-after.ts';
import { type DestinationKind, judgeAnswer, type Outcome } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write-out.ts';
import { emptySettlement, type RefusalReason } from '../../proto/settlement.ts';
import type { Deliver, DeliveryResult, DeliverySignals } from './lanes.ts';
import { misconfigurationAdvice } from './misconfiguration.ts';
import type { Post, PostResult } from './post.ts';
import type { WriteMetrics } from './write-metrics.ts';

export interface DeliveryTools {
  kind: DestinationKind;
  post: Post;
  clock: Clock;
  random: Random;
  metrics: WriteMetrics;
  log: BoundedLog;
}

const BACKOFF = { minMs: 100, maxMs: 30_000 };
const MISCONFIGURED_WAIT_MIN_MS = 30_000;
const MISCONFIGURED_WAIT_MAX_MS = 60_000;

/** Messages of destinations in the log, in characters. */
const MESSAGE_LENGTH_MAX = 1024;

/** Samples [from, to) of a request, not yet answered for. */
interface Part {
  from: number;
  to: number;
  /** Attempts so far, those of the whole it was cut from included. */
  attempts: number;
  /** Whether one of them may have been stored without our hearing of it. */
  mayBeStored: boolean;
}

/** Makes the function that Lanes deliver with. */
export function createDelivery(tools: DeliveryTools): Deliver {
  return (request, signals) => new Delivery(request, tools, signals).run();
}

/**
 * Writes one request until the destination has answered for every sample of it. Retries for ever:
 * only a cancellation ends it before. What has been answered for is never sent again.
 */
class Delivery {
  readonly #request: OutgoingRequest;
  readonly #tools: DeliveryTools;
  readonly #signals: DeliverySignals;
  readonly #backoff: Backoff;
  readonly #settlement = emptySettlement();
  /** What remains, in the order in which it is to be written: the next part is the last. */
  readonly #parts: Part[];
  #misconfigured = false;

  constructor(request: OutgoingRequest, tools: DeliveryTools, signals: DeliverySignals) {
    this.#request = request;
    this.#tools = tools;
    this.#signals = signals;
    this.#backoff = new Backoff(BACKOFF, tools.random);
    const { count, mayBeRedelivered } = request;
    this.#parts = [{ from: 0, to: count, attempts: 0, mayBeStored: mayBeRedelivered }];
  }

  async run(): Promise<DeliveryResult> {
    const { cancel, end } = this.#signals;
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      if (cancel.aborted) return this.#cancelled();
      const result = await this.#attempt(part);
      if (end.aborted && result.kind === 'failed') return this.#cancelled();
      await this.#follow(part, this.#judge(result), result);
    }
    return { kind: 'settled', settlement: this.#settlement };
  }

  async #attempt(part: Part): Promise<PostResult> {
    const { post, metrics } = this.#tools;
    const { tenant } = this.#request;
    const body = this.#request.encode(part.from, part.to);
    const signal = this.#signals.end;
    const result = await post({ tenant, body, attempt: part.attempts, signal });
    part.attempts++;
    if (result.kind === 'answer') metrics.request(String(result.status));
    else metrics.request(result.timedOut ? 'timeout' : 'network');
    return result;
  }

  #judge(result: PostResult): Outcome {
    if (result.kind === 'answer') {
      return judgeAnswer(this.#tools.kind, result.status, result.body);
    }
    return { kind: 'retry', halve: false, mayBeStored: result.mayHaveArrived };
  }

  /** Does what the outcome of an attempt asks for; the one place that decides it. */
  async #follow(part: Part, outcome: Outcome, result: PostResult): Promise<void> {
    if (outcome.kind !== 'misconfigured') this.#setMisconfigured(false);
    if (outcome.kind !== 'retry') this.#backoff.reset();
    const count = part.to - part.from;
    switch (outcome.kind) {
      case 'accepted':
      case 'deduplicated':
        this.#settlement[outcome.kind] += count;
        return;
      case 'retry':
        part.mayBeStored ||= outcome.mayBeStored;
        if (outcome.halve) this.#halve(part);
        else this.#parts.push(part);
        return this.#waitForRetry(result);
      case 'halve':
        if (count > 1) this.#halve(part);
        else this.#refuse(part, 'too_large', messageOf(result));
        return;
      case 'partial':
        this.#settlePartial(part, outcome.reason, outcome.message);
        return;
      case 'atomic':
        if (count > 1) this.#halve(part);
        else if (this.#isRedelivery(part, outcome.reason)) this.#settlement.redelivered++;
        else this.#refuse(part, outcome.reason, outcome.message);
        return;
      case 'misconfigured':
        this.#parts.push(part);
        return this.#waitForOperator(result);
      default:
        unreachable(outcome);
    }
  }

  /** Puts back both halves of a part, the earlier one to be written first; a single one whole. */
  #halve(part: Part): void {
    const middle = Math.ceil((part.from + part.to) / 2);
    if (middle < part.to) this.#parts.push({ ...part, from: middle });
    this.#parts.push({ ...part, to: middle });
  }

  /**
   * The rest of the part is stored, probably. The destination names only the first refusal, so
   * when that is the echo of an earlier attempt all of the part is taken for one.
   */
  #settlePartial(part: Part, reason: RefusalReason, message: string): void {
    const count = part.to - part.from;
    if (this.#isRedelivery(part, reason)) {
      this.#settlement.redelivered += count;
      return;
    }
    this.#refuse(part, reason, message);
    this.#settlement.doubtful += count - 1;
  }

  /** After an attempt whose fate is unknown, these refusals say that it had been stored. */
  #isRedelivery(part: Part, reason: RefusalReason): boolean {
    return part.mayBeStored && (reason === 'out_of_order' || reason === 'duplicate_timestamp');
  }

  /** Counts one sample of the part as refused for good. */
  #refuse(part: Part, reason: RefusalReason, message: string): void {
    const { refused } = this.#settlement;
    refused.set(reason, (refused.get(reason) ?? 0) + 1);
    const doubtful = part.to - part.from - 1;
    const fields = { ...this.#fields(), reason, doubtful, answer: cut(message) };
    this.#tools.log.warn(`refused ${reason}`, fields, 'the destination refused a sample for good');
  }

  async #waitForRetry(result: PostResult): Promise<void> {
    const { clock, log } = this.#tools;
    const header = result.kind === 'answer' ? result.headers.retryAfter : undefined;
    const waitMs = this.#backoff.next(parseRetryAfter(header, clock.now()));
    const fields = { ...this.#fields(), waitMs, answer: cut(messageOf(result)) };
    log.warn('retry', fields, 'the destination could not take a request; it will be sent again');
    await clock.sleep(waitMs, this.#signals.cancel);
  }

  async #waitForOperator(result: PostResult): Promise<void> {
    const { clock, log, random } = this.#tools;
    this.#setMisconfigured(true);
    const spreadMs = MISCONFIGURED_WAIT_MAX_MS - MISCONFIGURED_WAIT_MIN_MS;
    const waitMs = MISCONFIGURED_WAIT_MIN_MS + random.float() * spreadMs;
    const status = result.kind === 'answer' ? result.status : 0;
    const answer = cut(messageOf(result));
    const fields = { ...this.#fields(), answer, check: misconfigurationAdvice(status), waitMs };
    log.error('misconfigured', fields, 'the destination refuses everything; all data is kept');
    await clock.sleep(waitMs, this.#signals.cancel);
  }

  #setMisconfigured(now: boolean): void {
    if (now === this.#misconfigured) return;
    this.#misconfigured = now;
    this.#tools.metrics.heldByMisconfiguration(now ? 1 : -1);
  }

  #cancelled(): DeliveryResult {
    this.#setMisconfigured(false);
    return { kind: 'cancelled' };
  }

  #fields(): { tenant: string; samples: number } {
    return { tenant: this.#request.tenant, samples: this.#request.count };
  }
}

function messageOf(result: PostResult): string {
  return result.kind === 'answer' ? `${result.status} ${result.body.trim()}` : result.message;
}

function cut(message: string): string {
  return message.slice(0, MESSAGE_LENGTH_MAX);
}

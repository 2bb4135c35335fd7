import { unreachable } from '../../base/assert.ts';
import { Backoff } from '../../base/backoff.ts';
import type { Random } from '../../base/random.ts';
import { parseRetryAfter } from '../../base/retry-after.ts';
import { type DestinationKind, judgeAnswer, type Outcome } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import type { RefusalReason } from '../../proto/settlement.ts';
import { Account, cut, isEcho, type Refusal } from './account.ts';
import { type DuplicateTools, type Held, settleDuplicates } from './duplicates.ts';
import type { Deliver, DeliveryResult, DeliverySignals } from './lanes.ts';
import { HA_CLUSTERS_ADVICE, misconfigurationAdvice } from './misconfiguration.ts';
import { halvesOf, isEntry, isExemplars, type Part, singlesOf } from './parts.ts';
import { planParts, rowOf } from './plan.ts';
import { messageOf, type Post, type PostResult } from './post.ts';
import type { RefusalSearch, SearchedRow } from './refusal-search.ts';
import { SearchTally } from './search-tally.ts';
import type { Others, SetAside } from './set-aside.ts';
import { isTaken, laterSample } from './witness.ts';
import type { WriteMetrics } from './write-metrics.ts';

export interface DeliveryTools extends DuplicateTools {
  kind: DestinationKind;
  post: Post;
  setAside: SetAside;
  search: RefusalSearch;
  random: Random;
  metrics: WriteMetrics;
}

const BACKOFF = { minMs: 100, maxMs: 30_000 };
const MISCONFIGURED_WAIT_MIN_MS = 30_000;
const MISCONFIGURED_WAIT_MAX_MS = 60_000;

/**
 * What the search leaves of its budget where refusals may be the echo of an earlier attempt: after a
 * restart that can be everything, and what is guilty indeed must still be found.
 */
const ECHO_RESERVE = 0.5;

/** Makes the function that the lanes of `agent` deliver with. */
export function createDelivery(agent: string, tools: DeliveryTools): Deliver {
  return (request, signals) => new Delivery(agent, request, tools, signals).run();
}

/**
 * Writes one request until the destination has answered for every sample of it, or keeps failing
 * on some that are then set aside. Retries for ever: only a cancellation ends it before. What has
 * been answered for is never sent again, but for a single sample that may serve as a witness.
 */
class Delivery {
  readonly #agent: string;
  readonly #request: OutgoingRequest;
  readonly #tools: DeliveryTools;
  readonly #signals: DeliverySignals;
  readonly #backoff: Backoff;
  readonly #account: Account;
  /** What remains, in the order in which it is to be written: the next part is the last. */
  readonly #parts: Part[];
  #misconfigured = false;
  readonly #tally = new SearchTally();
  readonly #held: Held;

  constructor(
    agent: string,
    request: OutgoingRequest,
    tools: DeliveryTools,
    signals: DeliverySignals,
    held: Held = { ms: 0 },
  ) {
    this.#agent = agent;
    const plan = planParts(request, tools);
    this.#request = plan.request;
    this.#parts = plan.parts.reverse();
    this.#tools = tools;
    this.#signals = signals;
    this.#held = held;
    this.#account = new Account(agent, plan.request, tools);
    this.#backoff = new Backoff(BACKOFF, tools.random);
  }

  async run(): Promise<DeliveryResult> {
    const result = await this.#write();
    // Before the agent is told: it forgets the samples then. After a cancellation as well, since
    // what comes again may be taken for redelivered.
    const requests = this.#account.refusedRequests();
    if (requests.length > 0) await this.#tools.refused.keep(requests);
    return result;
  }

  async #write(): Promise<DeliveryResult> {
    const { cancel, end } = this.#signals;
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      if (cancel.aborted) return this.#cancelled();
      const result = await this.#attempt(part);
      if (end.aborted && result.kind === 'failed') return this.#cancelled();
      await this.#follow(part, this.#judge(result), result);
    }
    const { settlement, newestMs } = this.#account;
    return { kind: 'settled', settlement, newestMs };
  }

  #attempt(part: Part): Promise<PostResult> {
    const { bodies } = this.#tools;
    return this.#post(bodies.posted(this.#request, part.from, part.to), part.attempts++);
  }

  async #post(body: Uint8Array, attempt: number): Promise<PostResult> {
    const { post, metrics, bodies } = this.#tools;
    const { tenant } = this.#request;
    const { protocol } = bodies;
    const result = await post({ tenant, protocol, body, attempt, signal: this.#signals.end });
    if (result.kind === 'answer') metrics.request(String(result.status));
    else metrics.request(result.timedOut ? 'timeout' : 'network');
    return result;
  }

  #judge(result: PostResult): Outcome {
    if (result.kind === 'answer') {
      const { kind, bodies } = this.#tools;
      return judgeAnswer(kind, bodies.protocol, { ...result, ...result.headers });
    }
    return { kind: 'retry', halve: false, mayBeStored: result.mayHaveArrived, failed: false };
  }

  /** Does what the outcome of an attempt asks for; the one place that decides it. */
  async #follow(part: Part, outcome: Outcome, result: PostResult): Promise<void> {
    if (outcome.kind !== 'misconfigured') this.#setMisconfigured(false);
    if (outcome.kind !== 'retry') this.#backoff.reset();
    if (outcome.kind !== 'retry' || !outcome.failed) part.failedAtMs = undefined;
    if (isTaken(outcome)) this.#noteTaken(part);
    if (part.isSearched && outcome.kind !== 'retry') this.#tally.note(part, outcome);
    const count = part.to - part.from;
    const account = this.#account;
    const message = messageOf(result);
    switch (outcome.kind) {
      case 'accepted':
        account.accept(part);
        this.#tools.replicas.taken(this.#request, part.from, part.to);
        if (part.isSuspect) this.#clear(part);
        return;
      case 'deduplicated':
        if (!(await this.#settleDuplicates(part, message))) this.#parts.push(part);
        return;
      case 'retry':
        part.mayBeStored ||= outcome.mayBeStored;
        if (outcome.failed) return this.#followFailure(part, result);
        if (outcome.halve) this.#halve(part);
        else this.#parts.push(part);
        return this.#waitForRetry(result);
      case 'halve':
        if (count > 1) this.#halve(part);
        else account.refuse(part, { reason: 'too_large', message }, 1);
        return;
      case 'partial': {
        const refusal = { reason: outcome.reason, message };
        if (outcome.written !== undefined) account.settleCounted(part, refusal, outcome.written);
        else if (!this.#search(part, refusal, true)) account.settleUnsearched(part, refusal);
        return;
      }
      case 'refused':
        account.refuse(part, { reason: outcome.reason, message }, count);
        this.#sayClusterRefused(outcome.reason, message);
        return;
      case 'atomic':
        this.#search(part, { reason: outcome.reason, message }, false);
        return;
      case 'misconfigured':
        // Something before the destination may have taken the headers out of its answer.
        part.mayBeStored ||= result.kind === 'answer' && result.status < 300;
        this.#parts.push(part);
        return this.#waitForOperator(result);
      default:
        unreachable(outcome);
    }
  }

  /**
   * Goes on with a part of which something is refused, until each guilty sample stands alone.
   *
   * @param isBudgeted the rest is stored already, so that sending it again serves the counts only
   * @returns false when there is no budget for that; nothing was done then
   */
  #search(part: Part, refusal: Refusal, isBudgeted: boolean): boolean {
    const request = this.#request;
    const { tenant } = request;
    const count = part.to - part.from;
    const isVersion2 = this.#tools.bodies.protocol === 'v2';
    const isLone = isVersion2 && refusal.reason === 'exemplar' && isExemplars(part, request);
    if (count === 1 || isLone) {
      this.#account.settleRefused(part, refusal);
      // An echo says nothing of the series.
      if (isEcho(part, refusal)) return true;
      for (let row = part.from; row < part.to; row++) {
        this.#tools.search.refused(tenant, this.#row(row), refusal.reason);
      }
      return true;
    }
    const joins = isVersion2;
    const pieces = this.#piecesOf(part, joins);
    const reserve = isEcho(part, refusal) ? ECHO_RESERVE : 0;
    if (isBudgeted && !this.#mayGoOn(pieces.length, reserve)) return false;
    if (joins && isEntry(part, request)) this.#account.leaveExemplars(part, refusal);
    for (const piece of pieces.reverse()) this.#parts.push({ ...piece, isSearched: true });
    return true;
  }

  /** Innocent samples wait meanwhile: neither the requests nor the time of a search are endless. */
  #mayGoOn(requests: number, reserve: number): boolean {
    const { clock, search } = this.#tools;
    if (this.#tally.durationMs(clock.elapsedMs()) > search.msMax) return false;
    return search.take(this.#request.tenant, requests, reserve);
  }

  /** What a refused part is sent in again: of a sample and its exemplars the sample alone. */
  #piecesOf(part: Part, joins: boolean): Part[] {
    const request = this.#request;
    if (joins && isEntry(part, request)) return [{ ...part, to: part.from + 1 }];
    return part.isSuspect || this.#tally.isMostGuilty
      ? singlesOf(part, request, joins)
      : halvesOf(part, request);
  }

  #clear({ from, to }: Part): void {
    const { search } = this.#tools;
    for (let row = from; row < to; row++) search.taken(this.#request.tenant, this.#row(row));
  }

  #row(row: number): SearchedRow {
    return rowOf(this.#request, row);
  }

  #settleDuplicates(part: Part, message: string): Promise<boolean> {
    const [agent, request, tools] = [this.#agent, this.#request, this.#tools];
    const [account, signals] = [this.#account, this.#signals];
    const deliver = (rest: OutgoingRequest) =>
      new Delivery(agent, rest, tools, signals, this.#held).run();
    const held = this.#held;
    const turnedAway = { agent, request, part, held, message, account, signals, deliver };
    return settleDuplicates(turnedAway, tools);
  }

  /** A whole HA cluster is refused: its name is not in the words of the destination. */
  #sayClusterRefused(reason: RefusalReason, message: string): void {
    const { tenant, replica } = this.#request;
    const names = { cluster: replica?.cluster, replica: replica?.replica };
    const fields = { ...this.#fields(), ...names, answer: cut(message) };
    this.#tools.log.error(`${reason} ${tenant} ${replica?.cluster}`, fields, HA_CLUSTERS_ADVICE);
  }

  /** The destination has failed on the part, as it does in an outage; or the part is the reason. */
  async #followFailure(part: Part, result: PostResult): Promise<void> {
    const { setAside } = this.#tools;
    const { tenant } = this.#request;
    const series = () => this.#seriesOf(part.from);
    const verdict = setAside.isDue(part, tenant)
      ? setAside.judge(part, await this.#tryOthers(part), tenant, series)
      : 'wait';
    switch (verdict) {
      case 'wait':
        this.#parts.push(part);
        return this.#waitForRetry(result);
      case 'halve':
        this.#halve(part);
        return this.#waitForRetry(result);
      case 'set aside': {
        const count = part.to - part.from;
        this.#account.refuse(part, { reason: 'set_aside', message: messageOf(result) }, count);
        if (count === 1) setAside.remember(tenant, series());
        this.#backoff.reset();
        return;
      }
      default:
        unreachable(verdict);
    }
  }

  /** Sends a sample once more that was taken before, or one of this request ahead of its turn. */
  async #tryOthers(part: Part): Promise<Others> {
    const { setAside, bodies } = this.#tools;
    const { tenant } = this.#request;
    const witness = setAside.witness(tenant);
    const body = witness ?? laterSample(this.#request, bodies, part.from, part.attempts);
    if (body === undefined) return 'unknown';
    if (!isTaken(this.#judge(await this.#post(body, 1)))) {
      return witness === undefined ? 'unknown' : 'fail';
    }
    if (witness === undefined) setAside.taken(tenant, () => body);
    return 'pass';
  }

  /** The last sample of a part is the newest of its series: it would be taken once more. */
  #noteTaken({ from, to }: Part): void {
    const { setAside, bodies } = this.#tools;
    const request = this.#request;
    let row = to - 1;
    while (row >= from && request.isExemplar(row)) row--;
    if (row >= from) setAside.taken(request.tenant, () => bodies.posted(request, row, row + 1));
  }

  #seriesOf(row: number): string {
    const body = this.#tools.bodies.kept(this.#request, row, row + 1);
    return new WrittenSamples(body).seriesOf(0);
  }

  /** Puts back both halves of a part, the earlier one to be written first; a single one whole. */
  #halve(part: Part): void {
    this.#parts.push(...halvesOf(part, this.#request).reverse());
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
    const check = misconfigurationAdvice(status, this.#tools.bodies.protocol);
    const fields = { ...this.#fields(), answer, check, waitMs };
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

  #fields(): { agent: string; tenant: string; samples: number } {
    return { agent: this.#agent, tenant: this.#request.tenant, samples: this.#request.count };
  }
}

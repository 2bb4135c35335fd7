import { Wakeup } from '../../base/wakeup.ts';
import type { Answer } from '../../proto/answer.ts';
import type { DictionaryPart } from '../../proto/batch.ts';
import { settledCount } from '../../proto/settlement.ts';
import type { EncodedBatch, ShipOptions, ShipTools, Stream } from './contracts.ts';
import type { HubReply } from './hub-client.ts';
import type { DictionaryLog } from './hub-session.ts';
import { Replies } from './replies.ts';
import { countOne, recordAnswer } from './ship-stats.ts';

/** More of the dictionary than this goes ahead in batches of its own. */
const DICTIONARY_PART_BYTES_MAX = 1 << 20;
/** Asking what became of a batch is cheaper than sending more than this again. */
const LARGE_FRAME_BYTES = 4096;

/**
 * Ships the samples of one tenant, oldest first, one batch in flight.
 *
 *     due ─▶ build ─▶ send ─┬─ answered ─▶ forget the segments ─▶ due
 *                      ▲    ├─ not now, no answer ─▶ back off, ask, send the same bytes
 *                      └────┤
 *                           └─ does not fit (409) ─▶ take over the hub's state, new stream ─▶ due
 *
 * It never gives up: what is not answered stays in the buffer.
 */
export class TenantLoop {
  readonly #tenant: string;
  readonly #options: ShipOptions;
  readonly #tools: ShipTools;
  readonly #replies: Replies;
  readonly #wakeup = new Wakeup();
  #stream: OpenStream | undefined;
  #samplesMax: number;
  #partBytesMax = DICTIONARY_PART_BYTES_MAX;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** Highest segment that has been in a batch, or was stored by an earlier run. */
  #sentUpToId: number;
  /** The last batch could not take all there was: the next one need not wait for more. */
  #isBehind = false;
  #isDraining = false;
  #isAnswerDue = false;

  /** @param storedBefore highest segment that an earlier run left: it may have been sent already */
  constructor(tenant: string, storedBefore: number, options: ShipOptions, tools: ShipTools) {
    this.#tenant = tenant;
    this.#options = options;
    this.#tools = tools;
    this.#replies = new Replies(tools);
    this.#samplesMax = options.samplesMax;
    this.#sentUpToId = storedBefore;
  }

  /** Whether a batch is on its way: what became of its samples is counted when it is answered. */
  get isAnswerDue(): boolean {
    return this.#isAnswerDue;
  }

  /** Something was appended, or the loop should drain. */
  wake({ drain }: { drain: boolean }): void {
    this.#isDraining ||= drain;
    if (this.#isDraining || this.#backlog() >= this.#samplesMax) this.#wakeup.wake();
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.#dueInMs();
      if (waitMs > 0) await this.#wakeup.wait(this.#tools.clock, waitMs, signal);
      else await this.#shipOne(signal);
    }
    this.#tools.samples.unpin(this.#tenant);
  }

  #backlog(): number {
    return this.#tools.samples.backlog.get(this.#tenant) ?? 0;
  }

  #dueInMs(): number {
    const { maxDelayMs } = this.#options;
    const backlog = this.#backlog();
    if (backlog === 0) return maxDelayMs;
    if (this.#isDraining || this.#isBehind || backlog >= this.#samplesMax) return 0;
    const elapsedMs = this.#tools.clock.now() - this.#sentAtMs;
    // A clock that was set back must not stop the shipping.
    return elapsedMs < 0 ? 0 : Math.max(0, maxDelayMs - elapsedMs);
  }

  async #shipOne(signal: AbortSignal): Promise<void> {
    const { session, samples, link, encoding } = this.#tools;
    // Nothing is sent before the hub has said what it holds.
    if (session.hub === undefined) return await this.#ask(signal);
    if (session.format === undefined) {
      await this.#replies.waitForFormat(signal);
      return await this.#ask(signal);
    }
    const log = samples.dictionaryOf(this.#tenant);
    const from = this.#dictionaryFrom(log);
    const { part, end } = session.part(log, from, this.#partBytesMax);
    if (end < log.length) {
      const frame = encoding.dictionaryBatch(log.epoch, session.epochsInUse, part);
      const reply = await link.postBatch(frame, signal, 'live');
      if (reply.kind === 'answer') {
        session.advance(log, reply.answer.dictionaryOffset, reply.answer.hub);
      }
      if (reply.kind === 'too_large') this.#shrink(0, reply.message);
      await this.#replies.settle(reply, signal);
      return;
    }
    const batch = this.#build(log, part, end);
    if (batch === undefined) return await this.#replies.pause(signal);
    this.#isAnswerDue = true;
    await this.#deliver(log, batch, signal);
    this.#isAnswerDue = false;
    samples.unpin(this.#tenant);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    await this.#replies.settle(await this.#tools.link.askPositions(signal), signal);
  }

  /** The next batch of the stream; `part` is what the hub lacks of the dictionary. */
  #build(
    log: DictionaryLog,
    part: DictionaryPart,
    dictionaryEnd: number,
  ): EncodedBatch | undefined {
    const { samples, clock } = this.#tools;
    const segments = samples.read(this.#tenant, this.#samplesMax);
    const first = segments[0];
    if (first === undefined) return undefined;
    this.#isBehind = segments.reduce((sum, segment) => sum + segment.samples, 0) < this.#backlog();
    const stream = this.#openStream(log);
    const isStated = stream.encoder.isFresh || part.entries.length > 0;
    const nowMs = clock.now();
    const batch = stream.encoder.encode(segments, isStated ? part : undefined, {
      sentAtMs: nowMs,
      mayBeRedelivered: first.id <= this.#sentUpToId,
    });
    stream.dictionaryEnd = dictionaryEnd;
    this.#sentUpToId = Math.max(this.#sentUpToId, segments.at(-1)!.id);
    this.#sentAtMs = nowMs;
    return batch;
  }

  #dictionaryFrom(log: DictionaryLog): number {
    const sent = this.#currentStream(log)?.dictionaryEnd ?? 0;
    return Math.min(log.length, Math.max(this.#tools.session.reliableOffset(log), sent));
  }

  /** The stream there is, unless hub or epoch have changed under it. */
  #currentStream({ epoch }: DictionaryLog): OpenStream | undefined {
    const { session } = this.#tools;
    const stream = this.#stream;
    const isCurrent = stream?.hub === session.hub && stream?.epoch === epoch;
    return isCurrent && !session.isFlapping ? stream : undefined;
  }

  #openStream(log: DictionaryLog): OpenStream {
    const current = this.#currentStream(log);
    if (current !== undefined) return current;
    const { session, encoding } = this.#tools;
    const { epoch } = log;
    const encoder = encoding.openStream({
      tenant: this.#tenant,
      samplesFormat: session.format!,
      epoch,
      epochsInUse: session.epochsInUse,
    });
    this.#stream = { encoder, hub: session.hub!, epoch, dictionaryEnd: 0 };
    return this.#stream;
  }

  /** Sends one batch until it is answered or turns out not to fit what the hub holds. */
  async #deliver(log: DictionaryLog, batch: EncodedBatch, signal: AbortSignal): Promise<void> {
    let mayBeThere = false;
    while (!signal.aborted) {
      const reply: HubReply | 'not there' | 'being written' =
        mayBeThere && isWorthAsking(batch)
          ? await this.#askFor(batch, signal)
          : await this.#tools.link.postBatch(batch.frame, signal, 'live');
      if (reply === 'not there') {
        mayBeThere = false;
        continue;
      }
      mayBeThere ||= !isTurnedAway(reply);
      if (reply === 'being written') {
        await this.#replies.pause(signal);
        continue;
      }
      if (reply.kind === 'answer' && settledCount(reply.answer.settlement) === batch.samples) {
        return this.#accept(log, batch, reply.answer);
      }
      if (reply.kind === 'too_large') this.#shrink(batch.samples, reply.message);
      // A state that does not fit the batch says itself what was answered for.
      this.#isAnswerDue = reply.kind !== 'state' && reply.kind !== 'unreadable_format';
      const next = await this.#replies.settle(withoutFalseAnswer(reply), signal);
      if (next === 'again') continue;
      this.#stream = undefined;
      return;
    }
  }

  /** What became of a batch whose answer did not arrive. */
  async #askFor(
    batch: EncodedBatch,
    signal: AbortSignal,
  ): Promise<HubReply | 'not there' | 'being written'> {
    const reply = await this.#tools.link.askPositions(signal);
    if (reply.kind !== 'state') return reply;
    const ours = reply.state.tenants.find(({ tenant }) => tenant === this.#tenant);
    if (ours?.stream !== batch.stream) return reply;
    if (ours.nextSequence === batch.sequence) return 'not there';
    if (ours.nextSequence !== batch.sequence + 1) return reply;
    return ours.lastAnswer === undefined
      ? 'being written'
      : { kind: 'answer', answer: ours.lastAnswer };
  }

  #accept(log: DictionaryLog, batch: EncodedBatch, answer: Answer): void {
    const { samples, session, stats, clock } = this.#tools;
    this.#replies.succeeded();
    samples.acknowledge(this.#tenant, batch.positions);
    session.advance(log, answer.dictionaryOffset, answer.hub);
    recordAnswer(stats, answer.settlement, clock.now());
    countOne(stats.replies, 'answer');
  }

  /** @param samples of the batch that was refused; it may also be its dictionary that is large */
  #shrink(samples: number, message: string): void {
    this.#partBytesMax = Math.max(1, Math.floor(this.#partBytesMax / 2));
    if (samples > 0) {
      this.#samplesMax = Math.max(1, Math.floor(Math.min(this.#samplesMax, samples) / 2));
    }
    this.#tools.log.warn(
      'too large',
      { samples, samplesMax: this.#samplesMax, answer: message },
      'the hub refuses a batch as too large: smaller ones from now on',
    );
  }
}

interface OpenStream {
  encoder: Stream;
  hub: bigint;
  epoch: bigint;
  /** Entries of the dictionary that the batches of this stream reach up to. */
  dictionaryEnd: number;
}

/**
 * A keyframe is asked for whatever its size: a hub that was killed while it wrote the batch would
 * take the same bytes for new, and count what it writes twice as refused instead of redelivered.
 */
function isWorthAsking({ sequence, frame }: EncodedBatch): boolean {
  return sequence === 0 || frame.length > LARGE_FRAME_BYTES;
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
function isTurnedAway(reply: HubReply | 'being written'): boolean {
  return reply !== 'being written' && reply.kind === 'busy' && reply.retryAfterMs !== undefined;
}

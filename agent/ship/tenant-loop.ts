import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Answer, HubState, TenantState } from '../../proto/answer.ts';
import type { DictionaryPart, Keyframe } from '../../proto/batch.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { HubLink, HubReply } from './hub-client.ts';
import type { AcknowledgedLog, HubSession } from './hub-session.ts';
import { countOne, recordAnswer, type ShipStats } from './ship-stats.ts';

/** A stored segment, as far as shipping looks at it. */
export interface ShippableSegment {
  id: number;
  run: string;
  sequence: number;
  samples: number;
  body: Uint8Array;
}

/** The sample log of the buffer. */
export interface SampleLog extends AcknowledgedLog {
  readonly backlog: ReadonlyMap<string, number>;
  read(tenant: string, samplesMax: number): ShippableSegment[];
  unpin(tenant: string): void;
}

export interface EncodedBatch {
  frame: Uint8Array;
  stream: bigint;
  sequence: number;
  positions: PositionRange[];
  samples: number;
}

/** The codec state of one stream. */
export interface Stream {
  readonly stream: bigint;
  readonly isFresh: boolean;
  encode(
    segments: readonly ShippableSegment[],
    dictionary: DictionaryPart | undefined,
    batch: { sentAtMs: number; mayBeRedelivered: boolean },
  ): EncodedBatch;
}

/** Makes what goes over the link. */
export interface BatchEncoding {
  openStream(keyframe: Keyframe): Stream;
  dictionaryBatch(epoch: bigint, part: DictionaryPart): Uint8Array;
}

export interface ShipOptions {
  maxDelayMs: number;
  samplesMax: number;
}

export interface TenantLoopDeps {
  samples: SampleLog;
  session: HubSession;
  encoding: BatchEncoding;
  link: HubLink;
  stats: ShipStats;
  clock: Clock;
  random: Random;
  log: BoundedLog;
}

/** More of the dictionary than this goes ahead in batches of its own. */
const DICTIONARY_PART_BYTES_MAX = 1 << 20;
/** Asking what became of a batch costs about 500 bytes: cheaper than sending more than this again. */
const LARGE_FRAME_BYTES = 4096;
const BACKOFF = { minMs: 250, maxMs: 30_000 };
/** A wrong token or URL does not mend by itself; asking again is only for the day it is mended. */
const MISCONFIGURED_RETRY_MS = 30_000;

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
  readonly #deps: TenantLoopDeps;
  readonly #backoff: Backoff;
  readonly #wakeup = new Wakeup();
  #stream: OpenStream | undefined;
  #samplesMax: number;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** Highest row that has been in a batch, or was stored by an earlier run: see mayBeRedelivered. */
  #sentUpToId: number;
  #isDraining = false;

  /** @param storedBefore highest row id that an earlier run left: it may have been sent already */
  constructor(tenant: string, storedBefore: number, options: ShipOptions, deps: TenantLoopDeps) {
    this.#tenant = tenant;
    this.#options = options;
    this.#deps = deps;
    this.#samplesMax = options.samplesMax;
    this.#sentUpToId = storedBefore;
    this.#backoff = new Backoff(BACKOFF, deps.random);
  }

  /** Something was appended, or the loop should drain. */
  wake({ drain }: { drain: boolean }): void {
    this.#isDraining ||= drain;
    if (this.#isDraining || this.#isFull()) this.#wakeup.wake();
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.#dueInMs();
      if (waitMs > 0) await this.#wakeup.wait(this.#deps.clock, waitMs, signal);
      else await this.#shipOne(signal);
    }
    this.#deps.samples.unpin(this.#tenant);
  }

  #backlog(): number {
    return this.#deps.samples.backlog.get(this.#tenant) ?? 0;
  }

  #isFull(): boolean {
    return this.#backlog() >= this.#samplesMax;
  }

  #dueInMs(): number {
    if (this.#isDraining || this.#isFull())
      return this.#backlog() > 0 ? 0 : this.#options.maxDelayMs;
    const elapsedMs = this.#deps.clock.now() - this.#sentAtMs;
    // A clock that was set back must not stop the shipping.
    const waitMs = elapsedMs < 0 ? 0 : Math.max(0, this.#options.maxDelayMs - elapsedMs);
    return this.#backlog() > 0 ? waitMs : Math.max(waitMs, this.#options.maxDelayMs);
  }

  async #shipOne(signal: AbortSignal): Promise<void> {
    const { session, clock, samples } = this.#deps;
    if (session.hub === undefined) return await this.#introduce(signal);
    if (session.format === undefined) return await this.#waitForFormat(signal);
    const from = this.#dictionaryFrom();
    const { part, end } = session.part(from, DICTIONARY_PART_BYTES_MAX);
    if (end < samples.dictionaryLength) return await this.#sendDictionary(part, signal);
    const segments = samples.read(this.#tenant, this.#samplesMax);
    if (segments.length === 0) return;
    const stream = this.#openStream(session.hub, session.format);
    const lastId = segments.at(-1)!.id;
    const states = stream.encoder.isFresh || part.entries.length > 0;
    const batch = stream.encoder.encode(segments, states ? part : undefined, {
      sentAtMs: clock.now(),
      mayBeRedelivered: segments[0]!.id <= this.#sentUpToId,
    });
    stream.dictionaryEnd = end;
    this.#sentUpToId = Math.max(this.#sentUpToId, lastId);
    this.#sentAtMs = clock.now();
    await this.#deliver(batch, signal);
    samples.unpin(this.#tenant);
  }

  /** First contact: nothing is sent before the hub has said what it holds. */
  async #introduce(signal: AbortSignal): Promise<void> {
    await this.#settleReply(await this.#deps.link.askPositions(signal), signal);
  }

  async #waitForFormat(signal: AbortSignal): Promise<void> {
    this.#deps.log.error(
      'format',
      {},
      'the hub reads none of our formats of samples: upgrade the hub; samples are kept',
    );
    await this.#deps.clock.sleep(MISCONFIGURED_RETRY_MS, signal);
    await this.#introduce(signal);
  }

  async #sendDictionary(part: DictionaryPart, signal: AbortSignal): Promise<void> {
    const frame = this.#deps.encoding.dictionaryBatch(this.#deps.samples.epoch, part);
    const reply = await this.#deps.link.postBatch(frame, signal);
    await this.#settleReply(reply, signal);
  }

  #dictionaryFrom(): number {
    const { session, samples } = this.#deps;
    const stream = this.#currentStream();
    return Math.min(samples.dictionaryLength, Math.max(session.offset, stream?.dictionaryEnd ?? 0));
  }

  /** The stream there is, unless hub or epoch have changed under it. */
  #currentStream(): OpenStream | undefined {
    const { session, samples } = this.#deps;
    const stream = this.#stream;
    if (stream === undefined || stream.hub !== session.hub) return undefined;
    return stream.epoch === samples.epoch ? stream : undefined;
  }

  #openStream(hub: bigint, format: number): OpenStream {
    const current = this.#currentStream();
    if (current !== undefined) return current;
    const { epoch } = this.#deps.samples;
    const encoder = this.#deps.encoding.openStream({
      tenant: this.#tenant,
      samplesFormat: format,
      epoch,
      epochsInUse: [epoch],
    });
    this.#stream = { encoder, hub, epoch, dictionaryEnd: 0 };
    return this.#stream;
  }

  /** Sends one batch until it is answered or turns out not to fit what the hub holds. */
  async #deliver(batch: EncodedBatch, signal: AbortSignal): Promise<void> {
    const { link } = this.#deps;
    let isSent = false;
    while (!signal.aborted) {
      const reply: HubReply | 'not there' | 'being written' =
        isSent && batch.frame.length > LARGE_FRAME_BYTES
          ? await this.#askFor(batch, signal)
          : await link.postBatch(batch.frame, signal);
      if (reply === 'not there') {
        isSent = false;
        continue;
      }
      isSent = true;
      if (reply === 'being written') {
        await this.#deps.clock.sleep(this.#backoff.next(), signal);
        continue;
      }
      if (reply.kind === 'answer') return this.#accept(batch, reply.answer);
      if (reply.kind === 'too_large') this.#shrink(batch, reply.message);
      const isOver = await this.#settleReply(reply, signal);
      if (isOver) return;
    }
  }

  /** What became of a batch whose answer did not arrive. */
  async #askFor(
    batch: EncodedBatch,
    signal: AbortSignal,
  ): Promise<HubReply | 'not there' | 'being written'> {
    const reply = await this.#deps.link.askPositions(signal);
    if (reply.kind !== 'state') return reply;
    const ours = reply.state.tenants.find(({ tenant }) => tenant === this.#tenant);
    if (ours === undefined || ours.stream !== batch.stream) {
      // A keyframe that never arrived is no reason for another one.
      return batch.sequence === 0 && !isAnswered(ours, batch) ? 'not there' : reply;
    }
    if (ours.nextSequence === batch.sequence) return 'not there';
    if (ours.nextSequence !== batch.sequence + 1) return reply;
    return ours.lastAnswer === undefined
      ? 'being written'
      : { kind: 'answer', answer: ours.lastAnswer };
  }

  #accept(batch: EncodedBatch, answer: Answer): void {
    const { samples, session, stats, clock } = this.#deps;
    this.#backoff.reset();
    session.advance(answer.dictionaryOffset);
    samples.acknowledge(this.#tenant, batch.positions, {
      hub: session.hub!,
      offset: session.offset,
    });
    recordAnswer(stats, answer.settlement, clock.now());
    countOne(stats.replies, 'answer');
  }

  #shrink(batch: EncodedBatch, message: string): void {
    this.#samplesMax = Math.max(1, Math.floor(Math.min(this.#samplesMax, batch.samples) / 2));
    this.#deps.log.warn(
      'too large',
      { samples: batch.samples, samplesMax: this.#samplesMax, answer: message },
      'the hub refuses a batch as too large: smaller ones from now on',
    );
  }

  /**
   * What every reply other than the answer to a batch of samples means. Resolves to true when a
   * batch in flight does not fit any more: its stream is closed and the samples are encoded again.
   */
  async #settleReply(reply: HubReply, signal: AbortSignal): Promise<boolean> {
    const { clock, session, stats, log } = this.#deps;
    if (signal.aborted) return true;
    countOne(stats.replies, reply.kind);
    if (reply.kind !== 'answer' && reply.kind !== 'state') this.#noteTrouble(reply);
    switch (reply.kind) {
      case 'answer':
        this.#backoff.reset();
        session.advance(reply.answer.dictionaryOffset);
        return true;
      case 'state':
        this.#stream = undefined;
        await this.#takeOver(reply.state, signal);
        return true;
      case 'unreadable_format':
        this.#stream = undefined;
        session.adopt(reply.state);
        return true;
      case 'too_large':
        this.#stream = undefined;
        return true;
      case 'busy':
        await clock.sleep(this.#backoff.next(reply.retryAfterMs), signal);
        return false;
      case 'unreachable':
        await clock.sleep(this.#backoff.next(), signal);
        return false;
      case 'misconfigured':
        log.error(
          'misconfigured',
          { answer: reply.message },
          'the hub refuses this agent: check hub.urls, agent_id, the token and the hub’s ' +
            'agents section; samples are kept',
        );
        await clock.sleep(this.#backoff.next(MISCONFIGURED_RETRY_MS), signal);
        return false;
    }
  }

  async #takeOver(state: HubState, signal: AbortSignal): Promise<void> {
    const { clock, session, stats, log } = this.#deps;
    countOne(stats.events, state.reason);
    if (state.reason === 'duplicate agent') {
      log.error(
        'duplicate agent',
        { other: state.currentAddress, otherRun: state.currentRun.toString(16) },
        'another agent has taken over this agent_id: give each agent its own agent_id and ' +
          'restart; samples are kept here until then',
      );
      await clock.sleep(MISCONFIGURED_RETRY_MS, signal);
      return;
    }
    if (state.reason === 'dictionary full') {
      log.error(
        'dictionary full',
        {},
        'the hub’s limits.max_series_per_agent is reached: raise it; samples are kept here',
      );
      await clock.sleep(MISCONFIGURED_RETRY_MS, signal);
    }
    session.adopt(state);
    // One mismatch mends itself at once; a chain of them must not become a storm of requests.
    if (state.reason !== 'positions') await clock.sleep(this.#backoff.next(), signal);
    else this.#backoff.reset();
  }

  #noteTrouble({ kind, message }: { kind: string; message?: string }): void {
    const { stats, clock, log } = this.#deps;
    const text = message ?? kind;
    stats.lastTrouble = { atMs: clock.now(), message: text };
    log.warn(kind, { answer: text }, 'no answer of the hub yet: samples are kept and sent again');
  }
}

interface OpenStream {
  encoder: Stream;
  hub: bigint;
  epoch: bigint;
  /** Entries of the dictionary that batches of this stream have carried the hub up to. */
  dictionaryEnd: number;
}

function isAnswered(state: TenantState | undefined, { positions }: EncodedBatch): boolean {
  if (state === undefined) return false;
  return positions.some(({ run, first, last }) =>
    state.answered.some((range) => range.run === run && range.first <= last && first <= range.last),
  );
}

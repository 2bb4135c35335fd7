import { Wakeup } from '../../base/wakeup.ts';
import type { DictionaryPart } from '../../proto/batch.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { BatchDelay } from './batch-delay.ts';
import { type Answered, BatchDelivery, type Delivered } from './batch-delivery.ts';
import type { EncodedBatch, ShipOptions, ShippableSegment, ShipTools } from './contracts.ts';
import { CutOffs } from './cut-offs.ts';
import { Groundwork } from './groundwork.ts';
import type { DictionaryLog } from './hub-session.ts';
import { LiveStream, type SentBatch } from './live-stream.ts';
import type { PackLoop } from './pack-loop.ts';
import { Replies } from './replies.ts';
import type { SentSegments } from './sent-segments.ts';
import { countOne, recordAnswer } from './ship-stats.ts';

export interface TenantLoopDeps {
  tenant: string;
  options: ShipOptions;
  tools: ShipTools;
  /** Packs of the same tenant. */
  packs: PackLoop;
  sent: SentSegments;
  /** Segments up to this one were left by an earlier run. */
  storedBefore: number;
}

/**
 * Ships the segments of one tenant: one batch in flight, and some more while what waits is more than
 * one batch can take.
 *
 *     due ─▶ build ─▶ send ─┬─ answered ─▶ forget the segments ─▶ due
 *                      ▲    ├─ not now, no answer ─▶ back off, ask, send the same bytes
 *                      └────┤
 *                           └─ does not fit (409) ─▶ take over the hub's state, new stream ─▶ due
 *
 * Oldest first: what is in packs goes before the segments behind it. Live first: where one batch
 * cannot take all there is, the older segments are left behind for packs to take.
 *
 * It never gives up: what is not answered stays in the buffer.
 */
export class TenantLoop {
  readonly #deps: TenantLoopDeps;
  readonly #replies: Replies;
  readonly #groundwork: Groundwork;
  readonly #wakeup = new Wakeup();
  readonly #cutOffs = new CutOffs();
  #stream: LiveStream | undefined;
  /** On the link, of late. */
  #bytesPerSample = 0;
  /** The one that was refused although it went alone. */
  #tooLarge: ShippableSegment | undefined;
  readonly #delay: BatchDelay;
  /** The first segment that is not left to packs. */
  #from: number;
  /** The last batch could not take all there was: the next one need not wait for more. */
  #isBehind = false;
  #isDraining = false;

  constructor(deps: TenantLoopDeps) {
    const { tenant, options, tools, storedBefore } = deps;
    this.#deps = deps;
    this.#delay = new BatchDelay(options);
    this.#replies = new Replies(tools, tenant);
    this.#groundwork = new Groundwork(tools, this.#replies);
    this.#from = options.order === 'live_first' ? storedBefore + 1 : 0;
  }

  /** Positions of batches on their way: what became of their samples is counted then. */
  get due(): readonly PositionRange[] {
    return this.#stream?.positions ?? [];
  }

  /** Segments with lower ids are left to packs. */
  get backlogEnd(): number {
    return this.#from;
  }

  /** Something was appended, or the loop should drain. */
  wake({ drain }: { drain: boolean }): void {
    this.#isDraining ||= drain;
    this.#delay.stored(this.#deps.tools.clock.elapsedMs());
    if (this.#isDraining || this.#isFull()) this.#wakeup.wake();
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { options, packs, tools } = this.#deps;
    while (!signal.aborted) {
      this.#stream?.check();
      if (this.#stream?.isOver === true) await this.#endStream(this.#stream, signal);
      if (options.order === 'oldest_first' && this.#isIdle) await packs.drain(signal);
      const waitMs = this.#dueInMs();
      if (waitMs > 0) await this.#wakeup.wait(tools.clock, waitMs, signal);
      else await this.#shipOne(signal);
    }
    await this.#stream?.allOver();
    this.#pin();
  }

  /** Whether nothing is under way. */
  get #isIdle(): boolean {
    return this.#stream?.isIdle !== false;
  }

  /** Samples in segments; while some are on their way into packs, more than are its own. */
  #waiting(): number {
    const { tools, tenant } = this.#deps;
    return tools.samples.unpackedSamples(tenant) - (this.#stream?.samples ?? 0);
  }

  /** Whether a batch is full. What is left to packs does not count, and nobody counts the rest. */
  #isFull(): boolean {
    const { tools, tenant } = this.#deps;
    if (this.#waiting() < this.#deps.options.samplesMax) return false;
    return !tools.samples.hasSegmentBefore(tenant, this.#from);
  }

  #dueInMs(): number {
    const waiting = this.#waiting();
    // One batch at a time leaves few bytes to heads and answers: more only while there is a backlog.
    if (!this.#isIdle && !this.#isBehind) return this.#delay.idleMs;
    if (waiting > 0 && (this.#isDraining || this.#isBehind || this.#isFull())) return 0;
    return this.#delay.dueInMs(this.#deps.tools.clock.elapsedMs(), waiting);
  }

  async #shipOne(signal: AbortSignal): Promise<void> {
    const { tools } = this.#deps;
    const { samples, session, link } = tools;
    const atOnce = session.isFlapping ? 1 : link.atOnce('live');
    if (this.#stream?.hasRoom(atOnce) === false) return await this.#stream.oneOver();
    // Nothing is sent before the hub has said what it holds.
    if (!(await this.#groundwork.isLaid(signal))) return;
    const segments = this.#read();
    const [first] = segments;
    if (first === undefined) return await this.#waitForSegments(signal);
    if (segments.length === 1 && this.#packInAdvance(first)) return;
    if (this.#stream?.isNear(segments) === false) return await this.#stream.oneOver();
    const log = samples.dictionaryOfEpoch(first.epoch);
    const isAlone = this.#isIdle;
    if (!isAlone && this.#currentStream(log) === undefined) return await this.#stream!.oneOver();
    const from = this.#dictionaryFrom(log);
    const missing = await this.#groundwork.dictionary(log, from, { mayGoAhead: isAlone }, signal);
    if (missing === undefined) return isAlone ? this.#pin() : await this.#stream!.oneOver();
    // Meanwhile the hub may have said something, and the stream may have ended.
    const current = this.#currentStream(log);
    if (this.#stream?.isOver === true || (current === undefined && !this.#isIdle)) return;
    const open = current ?? this.#openStream(log);
    const batch = this.#build(open, segments, missing);
    open.start({ batch, segments, log, entryBytes: missing.part.entries.length }, signal);
    this.#pin();
  }

  /** Pins what is under way, and nothing else. */
  #pin(): void {
    const { tools, tenant } = this.#deps;
    tools.samples.pin(tenant, this.#stream?.segments);
  }

  /** All there is waits for packs to take it, or the disk does not let go of what was answered. */
  async #waitForSegments(signal: AbortSignal): Promise<void> {
    const { options, tools } = this.#deps;
    if (!this.#isIdle) return await this.#stream!.oneOver();
    if (options.order === 'oldest_first') return await this.#replies.pause(signal);
    await this.#wakeup.wait(tools.clock, this.#delay.idleMs, signal);
  }

  /** The next batch of the stream; `part` is what the hub lacks of the dictionary, up to `end`. */
  #build(
    stream: LiveStream,
    segments: readonly ShippableSegment[],
    { part, end }: { part: DictionaryPart; end: number },
  ): EncodedBatch {
    const { sent, tools } = this.#deps;
    const first = segments[0]!;
    const last = segments.at(-1)!;
    const isStated = stream.encoder.isFresh || part.entries.length > 0;
    const batch = stream.encoder.encode(segments, isStated ? part : undefined, {
      sentAtMs: tools.clock.now(),
      mayBeRedelivered: sent.mayHold(first.id, last.id),
    });
    stream.dictionaryEnd = end;
    this.#bytesPerSample = batch.sampleBytes / batch.samples;
    sent.add(first.id, last.id);
    this.#delay.sent(tools.clock.elapsedMs(), batch);
    return batch;
  }

  /** Of one batch: so that it lasts some seconds on the link, and the hub does not refuse it. */
  #samplesMax(): number {
    const { options, tools } = this.#deps;
    const bytesMax = Math.min(tools.sizes.bytesMax, tools.link.bodyBytes('live'));
    if (this.#bytesPerSample === 0) return options.samplesMax;
    return Math.max(1, Math.min(options.samplesMax, Math.floor(bytesMax / this.#bytesPerSample)));
  }

  /** The segments of the next batch, of one epoch, and whether there are more; they are pinned. */
  #read(): ShippableSegment[] {
    const { options, tools, tenant } = this.#deps;
    const { samples } = tools;
    const samplesMax = this.#samplesMax();
    const from = (): number => Math.max(this.#from, (this.#stream?.segments?.last ?? -1) + 1);
    const read = (): ShippableSegment[] => {
      this.#pin();
      return samples.read(tenant, samplesMax, from());
    };
    // All there is may lie behind a pack: then nothing was read.
    const isBehind = (segments: readonly ShippableSegment[]): boolean =>
      samples.hasSegmentBehind(tenant, segments.at(-1)?.id ?? from() - 1);
    let segments = read();
    const window = tools.session.windows.of(tenant);
    while (window !== undefined && tools.parkSegments(segments, window)) segments = read();
    if (options.order === 'live_first' && isBehind(segments)) {
      const since = tools.clock.elapsedMs() - options.maxDelayMs;
      this.#from = Math.max(this.#from, samples.firstStoredAfter(since));
      segments = read();
    }
    this.#isBehind = isBehind(segments);
    return segments;
  }

  #dictionaryFrom(log: DictionaryLog): number {
    const sent = this.#currentStream(log)?.dictionaryEnd ?? 0;
    return Math.min(log.length, Math.max(this.#deps.tools.session.reliableOffset(log), sent));
  }

  /** The stream there is, unless hub or epoch have changed under it. */
  #currentStream({ epoch }: DictionaryLog): LiveStream | undefined {
    const { session } = this.#deps.tools;
    const stream = this.#stream;
    const isCurrent = stream?.target.hub === session.hub && stream?.target.epoch === epoch;
    return isCurrent && !session.isFlapping ? stream : undefined;
  }

  #openStream({ epoch }: DictionaryLog): LiveStream {
    const { tools, tenant } = this.#deps;
    const { session, encoding } = tools;
    const encoder = encoding.openStream({
      tenant,
      samplesFormat: session.format!,
      epoch,
      epochsInUse: session.epochsInUse,
    });
    const stream = new LiveStream(
      encoder,
      { hub: session.hub!, epoch },
      {
        deliver: (batch, signal) => this.#deliver(stream, batch, signal),
        onAnswered: (sent, answered) => this.#accept(sent, answered),
        onOver: () => {
          this.#pin();
          this.#wakeup.wake();
        },
      },
    );
    this.#stream = stream;
    return stream;
  }

  /** Sends one batch until it is answered or turns out not to fit what the hub holds. */
  #deliver(stream: LiveStream, batch: EncodedBatch, signal: AbortSignal): Promise<Delivered> {
    const { tools, tenant } = this.#deps;
    // Replies of its own: batches that fail together would drive up a backoff that they share.
    const replies = new Replies(tools, tenant);
    const first = (): number => stream.first ?? batch.sequence;
    // Batches that are cut off together count once: the first one under way counts.
    const isDeadly = () => batch.sequence === first() && this.#cutOffs.add();
    const how = {
      tenant,
      traffic: 'live',
      first,
      tools,
      replies,
      isDeadly,
    } as const;
    return new BatchDelivery(how).deliver(batch, signal);
  }

  /** Nothing more goes over the stream; the next batch opens another one. */
  async #endStream(stream: LiveStream, signal: AbortSignal): Promise<void> {
    const misfit = await stream.allOver();
    this.#stream = undefined;
    this.#pin();
    if (misfit === undefined) return;
    const { sent, reply } = misfit;
    if (reply.kind === 'too_large') this.#shrink(sent, reply.message);
    await this.#replies.settle(reply, signal);
    this.#packTooLarge();
  }

  #accept({ batch, log }: SentBatch, { answer, exchangeBytes }: Answered): void {
    const { tools, tenant } = this.#deps;
    const { samples, session, stats, clock } = tools;
    this.#replies.succeeded();
    this.#cutOffs.reset();
    this.#delay.answered(exchangeBytes);
    samples.acknowledge(tenant, batch.positions);
    session.advance(log, answer.dictionaryOffset, answer.hub);
    session.windows.hear(tenant, answer);
    recordAnswer(stats, answer.settlement, clock);
    countOne(stats.replies, 'answer');
  }

  /** A batch was refused as too large: what makes most of it is cut, entries or samples. */
  #shrink({ batch, segments, entryBytes }: SentBatch, message: string): void {
    const { sizes, log } = this.#deps.tools;
    const { frame, samples } = batch;
    if (entryBytes > frame.length / 2) this.#groundwork.shrink();
    else {
      sizes.refused(frame.length);
      if (segments.length === 1) this.#tooLarge = segments[0];
    }
    log.warn(
      'too large',
      { samples, bytes: frame.length, answer: message },
      'a batch is refused as too large: smaller ones from now on',
    );
  }

  /** Whether a segment has become a pack because it would be refused as others were. */
  #packInAdvance(segment: ShippableSegment): boolean {
    const { tools, sent } = this.#deps;
    const bytes = segment.samples * this.#bytesPerSample;
    if (bytes <= tools.sizes.bytesMax || sent.mayHold(segment.id, segment.id)) return false;
    this.#pin();
    this.#tooLarge = segment;
    return this.#packTooLarge();
  }

  /** A segment is the least that a batch can have: what is larger becomes a pack, and is split. */
  #packTooLarge(): boolean {
    const segment = this.#tooLarge;
    this.#tooLarge = undefined;
    if (segment === undefined) return false;
    const { tools, tenant, packs } = this.#deps;
    if (!tools.packSegment(tenant, segment.id)) return false;
    packs.splitSegment(segment.id);
    return true;
  }
}

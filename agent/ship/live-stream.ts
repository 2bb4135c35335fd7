import { LIVE_ANSWERS_MAX } from '../../proto/answer.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { Answered, Delivered } from './batch-delivery.ts';
import type { EncodedBatch, ShippableSegment, Stream } from './contracts.ts';
import type { HubReply } from './hub-client.ts';
import type { DictionaryLog } from './hub-session.ts';
import { SPAN_MAX_MS } from './pack-window.ts';

/** A batch, and what it was made of. */
export interface SentBatch {
  batch: EncodedBatch;
  segments: readonly ShippableSegment[];
  /** Which its ids refer to. */
  log: DictionaryLog;
  /** Of the dictionary, packed. */
  entryBytes: number;
}

/** What a stream was opened for. */
export interface StreamTarget {
  hub: bigint;
  epoch: bigint;
}

export interface StreamWork {
  deliver(batch: EncodedBatch, signal: AbortSignal): Promise<Delivered>;
  /** A batch was answered for. */
  onAnswered(sent: SentBatch, answered: Answered): void;
  /** A batch is not under way any more, whatever became of it. */
  onOver(): void;
}

interface UnderWay {
  sent: SentBatch;
  givingUp: AbortController;
  shipping: Promise<void>;
}

/**
 * One codec state and its batches under way. The hub takes them in by their sequence: what does not
 * fit ends the stream for what lies behind, not for what is before.
 */
export class LiveStream {
  readonly encoder: Stream;
  readonly target: StreamTarget;
  /** Entries of the dictionary that the batches of this stream reach up to. */
  dictionaryEnd = 0;
  readonly #work: StreamWork;
  /** By sequence, oldest first. */
  readonly #underWay = new Map<number, UnderWay>();
  #nextSequence = 0;
  #isAnswered = false;
  #isOver = false;
  #misfit: { sent: SentBatch; reply: HubReply } | undefined;
  /** A bug. */
  #failure: { error: unknown } | undefined;

  constructor(encoder: Stream, target: StreamTarget, work: StreamWork) {
    this.encoder = encoder;
    this.target = target;
    this.#work = work;
  }

  /** Nothing more can go over it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get isIdle(): boolean {
    return this.#underWay.size === 0;
  }

  /** Sequence of the oldest batch under way. */
  get first(): number | undefined {
    const [oldest] = this.#underWay.keys();
    return oldest;
  }

  /** Samples under way. */
  get samples(): number {
    return this.#sent().reduce((sum, { batch }) => sum + batch.samples, 0);
  }

  /** Ids of the oldest and the newest segment under way. */
  get segments(): { first: number; last: number } | undefined {
    const sent = this.#sent();
    const first = sent[0]?.segments[0];
    const last = sent.at(-1)?.segments.at(-1);
    return first && last && { first: first.id, last: last.id };
  }

  get positions(): PositionRange[] {
    return this.#sent().flatMap(({ batch }) => batch.positions);
  }

  /** Whether one more batch may start: the first goes alone, as it opens the stream at the hub. */
  hasRoom(atOnce: number): boolean {
    const { first } = this;
    if (first === undefined) return true;
    if (!this.#isAnswered || this.#underWay.size >= atOnce) return false;
    // The hub would forget the answer to the oldest, if that was lost.
    return this.#nextSequence - first < LIVE_ANSWERS_MAX;
  }

  /** Whether these segments may be under way beside what is, by their timestamps. */
  isNear(segments: readonly ShippableSegment[]): boolean {
    const all = [...this.#sent().flatMap((sent) => sent.segments), ...segments];
    const oldest = Math.min(...all.map((one) => one.oldest));
    return this.isIdle || Math.max(...all.map((one) => one.newest)) - oldest <= SPAN_MAX_MS;
  }

  /** Sends a batch until it is answered, does not fit, or is given up. */
  start(sent: SentBatch, signal: AbortSignal): void {
    const { sequence } = sent.batch;
    const givingUp = new AbortController();
    this.#nextSequence = sequence + 1;
    const shipping = this.#ship(sent, AbortSignal.any([signal, givingUp.signal]));
    this.#underWay.set(sequence, { sent, givingUp, shipping });
  }

  /**
   * Resolves when one of the batches under way is no longer that.
   *
   * @throws what a bug has thrown
   */
  async oneOver(): Promise<void> {
    // A race that nobody runs has no end.
    if (!this.isIdle) await Promise.race(this.#shippings());
    this.check();
  }

  /** The same for all of them; the batch that did not fit, if there was one, is yet to be settled. */
  async allOver(): Promise<{ sent: SentBatch; reply: HubReply } | undefined> {
    await Promise.all(this.#shippings());
    this.check();
    return this.#misfit;
  }

  /** @throws what a bug has thrown */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Of several that do not fit the last word is of the oldest, and what the hub has said last. */
  async #ship(sent: SentBatch, signal: AbortSignal): Promise<void> {
    const { batch } = sent;
    try {
      const delivered = await this.#work.deliver(batch, signal);
      if (delivered.kind === 'answered') {
        this.#isAnswered = true;
        this.#work.onAnswered(sent, delivered);
      } else {
        if (delivered.kind === 'misfit') this.#misfit = { sent, reply: delivered.reply };
        this.#endBehind(batch.sequence);
      }
    } catch (error) {
      this.#failure ??= { error };
      this.#isOver = true;
    } finally {
      this.#underWay.delete(batch.sequence);
      this.#work.onOver();
    }
  }

  #endBehind(sequence: number): void {
    this.#isOver = true;
    for (const [other, { givingUp }] of this.#underWay) if (other > sequence) givingUp.abort();
  }

  #sent(): SentBatch[] {
    return Array.from(this.#underWay.values(), ({ sent }) => sent);
  }

  #shippings(): Promise<void>[] {
    return Array.from(this.#underWay.values(), ({ shipping }) => shipping);
  }
}

import type { Clock } from '../../base/clock.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { type Answer, PACK_ANSWERS_MAX, type PackRowState } from '../../proto/answer.ts';
import type { Reply } from './reply.ts';

/**
 * How long a pack waits for one that was sent before it and came on another connection. A shorter
 * wait would have all its bytes sent again before the agent notices that the other one hangs.
 */
const TURN_MS_MAX = 45_000;

interface TakenPack {
  reply: Promise<Reply>;
  /** Set once it is answered. */
  answer?: Answer;
}

/**
 * The packs that one agent sends for one tenant, several at a time: they are taken in, and so
 * written, in the order of their sequence.
 */
export class PackRow {
  readonly id: bigint;
  readonly unordered: boolean;
  /** Resolves when the first pack may be written. */
  readonly ready: Promise<void>;
  readonly #taken = new Map<number, TakenPack>();
  readonly #advanced = new Wakeup();
  readonly #closed = new AbortController();
  #nextSequence = 0;

  constructor(id: bigint, { unordered, ready }: { unordered: boolean; ready: Promise<void> }) {
    this.id = id;
    this.unordered = unordered;
    this.ready = ready;
  }

  get nextSequence(): number {
    return this.#nextSequence;
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Nothing of it is taken in any more; those that wait for their turn are told. */
  close(): void {
    this.#closed.abort();
  }

  /** A pack that was taken in before. */
  taken(sequence: number): TakenPack | undefined {
    return this.#taken.get(sequence);
  }

  /** Takes the next pack in; `write` begins at once. */
  take(write: (pack: TakenPack) => Promise<Reply>): Promise<Reply> {
    const sequence = this.#nextSequence++;
    const pack = {} as TakenPack;
    pack.reply = write(pack);
    this.#taken.set(sequence, pack);
    this.#taken.delete(sequence - PACK_ANSWERS_MAX);
    this.#advanced.wake();
    return pack.reply;
  }

  /** Waits a while for the packs before `sequence`. */
  async turnOf(sequence: number, clock: Clock): Promise<void> {
    const overAtMs = clock.elapsedMs() + TURN_MS_MAX;
    while (this.#nextSequence < sequence && !this.isClosed) {
      const leftMs = Math.ceil(overAtMs - clock.elapsedMs());
      if (leftMs <= 0) return;
      await this.#advanced.wait(clock, leftMs, this.#closed.signal);
    }
  }

  state(): PackRowState {
    const answers = Array.from(this.#taken).flatMap(([sequence, { answer }]) =>
      answer === undefined ? [] : [{ sequence, answer }],
    );
    return { stream: this.id, nextSequence: this.#nextSequence, answers };
  }
}

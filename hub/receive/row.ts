import type { Clock } from '../../base/clock.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Answer, RowState } from '../../proto/answer.ts';
import type { Reply } from './reply.ts';

/**
 * How long a batch waits for one that was sent before it and came on another connection. A shorter
 * wait would have all its bytes sent again before the agent notices that the other one hangs.
 */
const TURN_MS_MAX = 45_000;

interface TakenBatch {
  reply: Promise<Reply>;
  /** Set once it is answered. */
  answer?: Answer;
}

/**
 * The batches that one agent sends for one tenant, several at a time, as a live stream or as a row
 * of packs: they are taken in, and so written, in the order of their sequence.
 */
export class Row {
  readonly id: bigint;
  /** Resolves when its first batch may be written: whoever opens the row sets it. */
  ready = Promise.resolve();
  readonly #answersMax: number;
  readonly #taken = new Map<number, TakenBatch>();
  readonly #advanced = new Wakeup();
  readonly #closed = new AbortController();
  #nextSequence = 0;

  /** @param answersMax how many of the last answers the row keeps */
  constructor(id: bigint, answersMax: number) {
    this.id = id;
    this.#answersMax = answersMax;
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

  /** A batch that was taken in before. */
  taken(sequence: number): TakenBatch | undefined {
    return this.#taken.get(sequence);
  }

  /** Takes the next batch in; `write` begins at once. */
  take(write: (batch: TakenBatch) => Promise<Reply>): Promise<Reply> {
    const sequence = this.#nextSequence++;
    const batch = {} as TakenBatch;
    batch.reply = write(batch);
    this.#taken.set(sequence, batch);
    this.#taken.delete(sequence - this.#answersMax);
    this.#advanced.wake();
    return batch.reply;
  }

  /** Waits a while for the batches before `sequence`. */
  async turnOf(sequence: number, clock: Clock): Promise<void> {
    const overAtMs = clock.elapsedMs() + TURN_MS_MAX;
    while (this.#nextSequence < sequence && !this.isClosed) {
      const leftMs = Math.ceil(overAtMs - clock.elapsedMs());
      if (leftMs <= 0) return;
      await this.#advanced.wait(clock, leftMs, this.#closed.signal);
    }
  }

  state(): RowState {
    const answers = Array.from(this.#taken).flatMap(([sequence, { answer }]) =>
      answer === undefined ? [] : [{ sequence, answer }],
    );
    return { stream: this.id, nextSequence: this.#nextSequence, answers };
  }
}

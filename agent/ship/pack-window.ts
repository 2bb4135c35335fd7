import type { Clock } from '../../base/clock.ts';
import { PACK_ANSWERS_MAX } from '../../proto/answer.ts';

/** Packs under way at most. */
const PACKS_MAX = 8;
/** So much may be under way as crosses the border and is written in this time. */
const AHEAD_MS = 10_000;
/** How fast it goes is told from about so long. */
const MEMORY_MS = 60_000;
/**
 * What all batches under way may span. Where one lane of the hub is held up the others go on with the
 * packs behind: a destination that refuses what lies an hour behind its newest sample would refuse
 * the rest of the first pack.
 */
export const SPAN_MAX_MS = 1_800_000;

/** A pack as far as the window looks at it. */
interface Sized {
  bytes: number;
  oldest: number;
  newest: number;
}

/**
 * How many packs of a row may be under way: enough that the link is busy while the destination
 * writes, and while one of them waits for a lost packet. Beyond that no more than have gone through
 * lately, so that none times out behind the others.
 */
export class PackWindow {
  readonly #clock: Clock;
  /** By their sequence, oldest first. */
  readonly #underWay = new Map<number, Sized>();
  #answeredBytes = 0;
  /** When the first of them began. */
  #beganAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganAtMs = clock.elapsedMs();
  }

  /** Sequence of the oldest pack under way. */
  get first(): number | undefined {
    const [oldest] = this.#underWay.keys();
    return oldest;
  }

  /**
   * Whether a pack may start as `sequence`. The first of a row goes alone: it opens the row.
   *
   * @param atOnce so many may be under way whatever their size
   */
  hasRoom(sequence: number, pack: Sized, atOnce: number): boolean {
    const oldest = this.first;
    if (oldest === undefined) return true;
    if (this.#answeredBytes === 0 || this.#underWay.size >= PACKS_MAX) return false;
    // The hub would forget the answer to the oldest, if that was lost.
    if (sequence - oldest >= PACK_ANSWERS_MAX) return false;
    const packs = [...this.#underWay.values(), pack];
    const spanMs =
      Math.max(...packs.map(({ newest }) => newest)) - Math.min(...packs.map((one) => one.oldest));
    const bytes = packs.reduce((sum, one) => sum + one.bytes, 0);
    if (spanMs > SPAN_MAX_MS) return false;
    return this.#underWay.size < atOnce || bytes <= this.#bytesPerMs() * AHEAD_MS;
  }

  add(sequence: number, pack: Sized): void {
    this.#underWay.set(sequence, pack);
  }

  remove(sequence: number): void {
    this.#underWay.delete(sequence);
  }

  /** A pack was answered for. */
  answered({ bytes }: Sized): void {
    this.#answeredBytes += bytes;
  }

  /** What is long ago counts ever less: after an outage the window opens again within a minute. */
  #bytesPerMs(): number {
    const nowMs = this.#clock.elapsedMs();
    let elapsedMs = Math.max(1, nowMs - this.#beganAtMs);
    while (elapsedMs > MEMORY_MS) {
      elapsedMs /= 2;
      this.#answeredBytes /= 2;
    }
    this.#beganAtMs = nowMs - elapsedMs;
    return this.#answeredBytes / elapsedMs;
  }
}

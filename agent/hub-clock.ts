import type { Clock } from '../base/clock.ts';

/** The year 2200: no clock is so far ahead by mistake. */
const HUB_MS_MAX = Date.UTC(2200, 0);

/** Machines that keep their clocks in step are much nearer to each other. */
export const CLOCK_TOLERANCE_MS = 60_000;

/** What two clocks say that agree within a minute; in ms since the Unix epoch. */
export interface ConfirmedTime {
  earliestMs: number;
  latestMs: number;
}

/** One word of a hub, and when our two clocks heard it. */
interface Word {
  hubMs: number;
  ownMs: number;
  elapsedMs: number;
}

/**
 * The time by the hub's clock, as far as it was heard, and so how far the machine's clock can be
 * believed. From one word of the hub to the next the time is carried on by the clock that never
 * jumps.
 *
 * The hub is unknown before its first word. It is in doubt once the machine's clock was set, or the
 * machine has slept, since the last word: nobody can tell then which of our clocks is wrong.
 *
 * Nothing is kept over a restart, since the machine's clock may be set in between.
 */
export class HubClock {
  readonly #clock: Clock;
  readonly #onWord: (hubMs: number) => void;
  #word: Word | undefined;

  /** @param onWord called with the time that a hub has just said */
  constructor(clock: Clock, onWord: (hubMs: number) => void = () => {}) {
    this.#clock = clock;
    this.#onWord = onWord;
  }

  /**
   * A hub has said its time. Zero is what a hub says that says none; a time beyond all calendars is
   * no time.
   */
  hear(hubMs: number): void {
    if (hubMs <= 0 || hubMs > HUB_MS_MAX) return;
    this.#word = { hubMs, ownMs: this.#clock.now(), elapsedMs: this.#clock.elapsedMs() };
    this.#onWord(hubMs);
  }

  /** The time by the hub's clock, in ms since the Unix epoch; undefined before its first word. */
  now(): number | undefined {
    if (this.#word === undefined) return undefined;
    return this.#word.hubMs + this.#clock.elapsedMs() - this.#word.elapsedMs;
  }

  /** How far the hub's clock is ahead of the machine's, in ms; undefined before its first word. */
  aheadMs(): number | undefined {
    const hubMs = this.now();
    return hubMs === undefined ? undefined : hubMs - this.#clock.now();
  }

  /** Whether the hub was heard, and our clocks agree on how long ago that was. */
  get isKnown(): boolean {
    if (this.#word === undefined) return false;
    const { ownMs, elapsedMs } = this.#word;
    const shiftMs = this.#clock.now() - ownMs - (this.#clock.elapsedMs() - elapsedMs);
    return Math.abs(shiftMs) <= CLOCK_TOLERANCE_MS;
  }

  /** The time for what can be undone: the hub's, or the machine's while the hub is not known. */
  likelyNow(): number {
    return this.isKnown ? this.now()! : this.#clock.now();
  }

  /**
   * The times of the hub's clock and the machine's, for what cannot be undone; undefined while the
   * hub was not heard or the two differ.
   */
  confirmed(): ConfirmedTime | undefined {
    const hubMs = this.now();
    const ownMs = this.#clock.now();
    if (hubMs === undefined || Math.abs(hubMs - ownMs) > CLOCK_TOLERANCE_MS) return undefined;
    return { earliestMs: Math.min(hubMs, ownMs), latestMs: Math.max(hubMs, ownMs) };
  }
}

/**
 * How far ahead of the machine's clock ingest takes samples, in ms; 0: without limit.
 *
 * A sample that is refused is lost for good, since its sender drops it: it has to lie in the future
 * of the hub's clock and of the machine's. While the hub's is not known nothing is refused; what
 * is stored then is parked, should its time not have come.
 */
export function aheadMax(limitMs: number, hubClock: HubClock): number {
  if (limitMs === 0 || !hubClock.isKnown) return 0;
  return limitMs + Math.max(0, hubClock.aheadMs() ?? 0);
}

import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';

interface Timer {
  atMs: number;
  fire: () => void;
}

/** Turns of the event loop until what a timer has set off has come to rest, group commits included. */
const TURNS_TO_REST = 3;
const SLEEP_MS_MIN = 1;
/** A simulation that needs more has a loop in which no time passes. */
const STEPS_MAX = 2_000_000;

/**
 * Time that passes only when nothing is left to do: an hour of waiting takes as long as the work
 * that is done in it. Timers of the same moment fire in the order in which they were set, so a run
 * is the same every time.
 */
export class VirtualTime {
  /** Called before each timer fires: here crashes find their moment. */
  readonly beforeStep = new Set<() => void>();
  /** Timers that have fired. */
  steps = 0;
  #elapsedMs = 0;
  /** Latest first. */
  readonly #timers: Timer[] = [];

  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  /** Resolves after `ms`, or at once when `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = (): void => {
        this.#timers.splice(this.#timers.indexOf(timer), 1);
        resolve();
      };
      const fire = (): void => {
        signal?.removeEventListener('abort', cancel);
        resolve();
      };
      // As setTimeout: what is shorter would not move the time on, for want of digits.
      const timer = { atMs: this.#elapsedMs + Math.max(SLEEP_MS_MIN, ms), fire };
      this.#insert(timer);
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Lets time pass until `work` has come to its end. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const watched = work.finally(() => {
      isOver = true;
    });
    // Failures surface when the work is awaited below.
    watched.catch(() => {});
    for (;;) {
      for (let turn = 0; turn < TURNS_TO_REST; turn++) await nextTurn();
      if (isOver) return await watched;
      this.#step();
    }
  }

  #step(): void {
    const timer = this.#timers.pop();
    assert(timer !== undefined, 'everybody waits and nobody wakes them');
    assert(this.steps++ < STEPS_MAX, 'a loop in which no time passes');
    this.#elapsedMs = timer.atMs;
    for (const look of this.beforeStep) look();
    timer.fire();
  }

  #insert(timer: Timer): void {
    let at = this.#timers.length;
    while (at > 0 && this.#timers[at - 1]!.atMs <= timer.atMs) at--;
    this.#timers.splice(at, 0, timer);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The wall clock of one machine: it may be wrong, and it may be set. Waiting is not affected. */
export class WallClock implements Clock {
  readonly #rightOffsetMs: number;
  #offsetMs: number;
  #worstErrorMs = 0;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime, offsetMs: number) {
    this.#time = time;
    this.#rightOffsetMs = offsetMs;
    this.#offsetMs = offsetMs;
  }

  now(): number {
    return Math.round(this.#time.elapsedMs + this.#offsetMs);
  }

  elapsedMs(): number {
    return this.#time.elapsedMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#time.sleep(ms, signal);
  }

  /** How wrong it has been at the worst, in ms. */
  get worstErrorMs(): number {
    return this.#worstErrorMs;
  }

  /** Somebody has noticed that the clock is wrong. */
  setRight(): void {
    this.#setOffset(this.#rightOffsetMs);
  }

  /** Sets the clock forward, or back where `ms` is negative. */
  step(ms: number): void {
    this.#setOffset(this.#offsetMs + ms);
  }

  /** Sets the clock to a time, in ms since the Unix epoch. */
  set(ms: number): void {
    this.#setOffset(ms - this.#time.elapsedMs);
  }

  #setOffset(ms: number): void {
    this.#offsetMs = ms;
    const errorMs = Math.abs(ms - this.#rightOffsetMs);
    this.#worstErrorMs = Math.max(this.#worstErrorMs, errorMs);
  }
}

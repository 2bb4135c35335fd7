import type { Clock } from '../../base/clock.ts';

/** A clock that was wrong at the start of a machine, or for a moment, is right again by then. */
const STEADY_MS = 3_600_000;
const TOLERANCE_MS = 60_000;

/**
 * The machine's time for what cannot be undone: only once its clock has agreed for an hour with the
 * one that never jumps. To be looked at again and again, since a step is noticed at the next look.
 */
export class SteadyTime {
  readonly #clock: Clock;
  #since: { ownMs: number; elapsedMs: number };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = { ownMs: clock.now(), elapsedMs: clock.elapsedMs() };
  }

  /** Milliseconds since the Unix epoch; undefined: the clock was set within the hour. */
  now(): number | undefined {
    const ownMs = this.#clock.now();
    const elapsedMs = this.#clock.elapsedMs();
    const forMs = elapsedMs - this.#since.elapsedMs;
    if (Math.abs(ownMs - this.#since.ownMs - forMs) > TOLERANCE_MS) {
      this.#since = { ownMs, elapsedMs };
      return undefined;
    }
    return forMs >= STEADY_MS ? ownMs : undefined;
  }
}

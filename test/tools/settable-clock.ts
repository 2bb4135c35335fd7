import type { Clock } from '../../base/clock.ts';

/** A machine whose clock can be set, or which can sleep; time passes by `pass` only. */
export class SettableClock implements Clock {
  ownMs: number;
  #elapsedMs = 5000;

  constructor(ownMs: number) {
    this.ownMs = ownMs;
  }

  now(): number {
    return this.ownMs;
  }

  elapsedMs(): number {
    return this.#elapsedMs;
  }

  sleep(): Promise<void> {
    throw new Error('nothing sleeps here');
  }

  pass(ms: number): void {
    this.ownMs += ms;
    this.#elapsedMs += ms;
  }
}

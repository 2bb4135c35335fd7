import type { Clock } from './clock.ts';

/** Lets a loop sleep until something happens or a time has passed, whichever is first. */
export class Wakeup {
  #alarm = new AbortController();

  /** Ends every wait under way. */
  wake(): void {
    this.#alarm.abort();
    this.#alarm = new AbortController();
  }

  /** Resolves on `wake`, after `ms`, or when `signal` is aborted: the caller looks which. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    await clock.sleep(ms, AbortSignal.any([this.#alarm.signal, signal]));
  }
}

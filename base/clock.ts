import { setTimeout as delay } from 'node:timers/promises';

/** Time is an argument, so that tests can let a year pass in a minute. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds since some moment; never jumps, whatever happens to the machine's clock. */
  elapsedMs(): number;
  /** Resolves after `ms`, or at once when `signal` is aborted: the caller looks at the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsedMs: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  },
};

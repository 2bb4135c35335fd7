import { assert } from './assert.ts';
import type { Random } from './random.ts';

/**
 * Exponential backoff with full jitter: each wait is drawn evenly from 0 to a ceiling that doubles
 * from `minMs` to `maxMs`, so that many clients that failed together do not return together.
 *
 * A wait that the peer asked for is never undercut; up to a quarter of it comes on top, because
 * the peer told everybody the same number. The ceiling after it is twice that wait, at most
 * `maxMs`, as Prometheus does after a Retry-After.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: Random;
  #ceilingMs: number;

  constructor({ minMs, maxMs }: { minMs: number; maxMs: number }, random: Random) {
    assert(minMs > 0 && minMs <= maxMs, 'a backoff needs 0 < minMs <= maxMs');
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#ceilingMs = minMs;
  }

  /** Milliseconds to wait before the next attempt; `retryAfterMs` as the peer asked, if it did. */
  next(retryAfterMs?: number): number {
    if (retryAfterMs !== undefined && retryAfterMs > 0) {
      const waitMs = retryAfterMs * (1 + this.#random.float() / 4);
      this.#ceilingMs = Math.max(this.#minMs, Math.min(2 * waitMs, this.#maxMs));
      return waitMs;
    }
    const waitMs = this.#random.float() * this.#ceilingMs;
    this.#ceilingMs = Math.min(2 * this.#ceilingMs, this.#maxMs);
    return waitMs;
  }

  /** To be called after a success: the next failure waits briefly again. */
  reset(): void {
    this.#ceilingMs = this.#minMs;
  }
}

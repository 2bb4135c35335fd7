/**
 * How many bytes may go now: refilled at the limit, up to what a second of it is worth, so that
 * the time in which a hub thinks about one body is made up for with the next. Bytes that went
 * unasked make it negative, and are paid back before anything else goes.
 */
export class TokenBucket {
  static readonly burstMs = 1000;
  #bytes = 0;
  #atMs: number;
  #spentBytes: number;

  /** @param spentBytes all that was ever sent */
  constructor(nowMs: number, spentBytes: number) {
    this.#atMs = nowMs;
    this.#spentBytes = spentBytes;
  }

  /** @param bytesPerSecond the limit; 0: there is none, and nothing is saved up or owed */
  look(nowMs: number, spentBytes: number, bytesPerSecond: number): number {
    // A clock that was set back gives nothing, one that was set forward no more than a burst.
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    const spent = spentBytes - this.#spentBytes;
    this.#atMs = nowMs;
    this.#spentBytes = spentBytes;
    if (bytesPerSecond === 0) this.#bytes = 0;
    else {
      const burst = (bytesPerSecond * TokenBucket.burstMs) / 1000;
      const filled = Math.min(burst, this.#bytes + (bytesPerSecond * elapsedMs) / 1000);
      // What had been counted as spent and was not sent after all comes back.
      this.#bytes = Math.min(burst, filled - spent);
    }
    return this.#bytes;
  }
}

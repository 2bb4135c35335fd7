const BURST_MS = 1000;

/**
 * How many bytes may go now: refilled at the limit, up to what a second of it is worth, so that
 * the time in which a hub thinks about one body is made up for with the next. Bytes that went
 * unasked make it negative, and are paid back before anything else goes.
 */
export class TokenBucket {
  #bytes = 0;
  #bytesPerSecond: number;
  #atMs: number;
  #spentBytes: number;

  /**
   * @param spentBytes all that was ever sent
   * @param bytesPerSecond the limit from now on; 0: there is none, nothing is saved up or owed
   */
  constructor(nowMs: number, spentBytes: number, bytesPerSecond: number) {
    this.#atMs = nowMs;
    this.#spentBytes = spentBytes;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Takes what the constructor takes. */
  look(nowMs: number, spentBytes: number, bytesPerSecond: number): number {
    this.#settle(nowMs, spentBytes);
    this.#bytesPerSecond = bytesPerSecond;
    this.#bytes = bytesPerSecond === 0 ? 0 : Math.min(this.#bytes, burst(bytesPerSecond));
    return this.#bytes;
  }

  /** What has happened since the last look is judged by the limit of that time. */
  #settle(nowMs: number, spentBytes: number): void {
    // A clock that was set back gives nothing, one that was set forward no more than a burst.
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    const spent = spentBytes - this.#spentBytes;
    this.#atMs = nowMs;
    this.#spentBytes = spentBytes;
    if (this.#bytesPerSecond === 0) return;
    const earned = (this.#bytesPerSecond * elapsedMs) / 1000;
    this.#bytes = Math.min(burst(this.#bytesPerSecond), this.#bytes + earned) - spent;
  }
}

function burst(bytesPerSecond: number): number {
  return (bytesPerSecond * BURST_MS) / 1000;
}

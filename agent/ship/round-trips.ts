/** How long something takes, smoothed as TCP does for its retransmissions (RFC 6298). */
export class RoundTrips {
  #smoothedMs: number | undefined;
  #variationMs = 0;

  add(ms: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = ms;
      this.#variationMs = ms / 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - ms) - this.#variationMs) / 4;
    this.#smoothedMs += (ms - this.#smoothedMs) / 8;
  }

  /** What hardly ever takes longer; undefined before the first measurement. */
  get limitMs(): number | undefined {
    return this.#smoothedMs === undefined ? undefined : this.#smoothedMs + 4 * this.#variationMs;
  }
}

import type { Clock } from '../../base/clock.ts';

/** A limit that somebody on the way has mended is found again after a while. */
const DOUBLE_EVERY_MS = 600_000;
const BYTES_MIN = 512;

/** What the hub, or a proxy before it, takes in one body, as far as it has refused larger ones. */
export class SizeLimit {
  readonly #clock: Clock;
  #bytesMax = Number.POSITIVE_INFINITY;
  #refusedAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A body of `bytes` was refused as too large: half of it may do. */
  refused(bytes: number): void {
    // One that was larger than is known to do says nothing new.
    this.#bytesMax = Math.max(BYTES_MIN, Math.min(this.bytesMax, Math.floor(bytes / 2)));
    this.#refusedAtMs = this.#clock.elapsedMs();
  }

  /** Of the next body; without limit while nothing was refused of late. */
  get bytesMax(): number {
    const doublings = (this.#clock.elapsedMs() - this.#refusedAtMs) / DOUBLE_EVERY_MS;
    return this.#bytesMax * 2 ** Math.floor(doublings);
  }
}

import type { Clock } from '../../base/clock.ts';

/** Packs under way at most. */
const PACKS_MAX = 8;
/** So much may be under way as crosses the border and is written in this time. */
const AHEAD_MS = 10_000;

/**
 * How many packs of a row may be under way: enough that the link is busy while the destination
 * writes, and no more than have gone through lately, so that none times out behind the others.
 */
export class PackWindow {
  readonly #clock: Clock;
  readonly #beganAtMs: number;
  #answeredBytes = 0;
  #packs = 0;
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganAtMs = clock.now();
  }

  /** Whether a pack of `bytes` may start. The first of a row goes alone: it opens the row. */
  hasRoom(bytes: number): boolean {
    if (this.#packs === 0) return true;
    if (this.#answeredBytes === 0 || this.#packs >= PACKS_MAX) return false;
    const elapsedMs = Math.max(1, this.#clock.now() - this.#beganAtMs);
    return this.#bytes + bytes <= (this.#answeredBytes / elapsedMs) * AHEAD_MS;
  }

  add(bytes: number): void {
    this.#packs++;
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#packs--;
    this.#bytes -= bytes;
  }

  /** A pack was answered for. */
  answered(bytes: number): void {
    this.#answeredBytes += bytes;
  }
}

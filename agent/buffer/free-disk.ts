import { statfsSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';

/** How long a reading holds: asking the file system at every commit would be waste. */
const READING_MS = 1000;

/** Free space of the file system that a folder is on. */
export class FreeDisk {
  readonly #folder: string;
  readonly #clock: Clock;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Bytes that are free for us, at most a second ago. */
  bytes(): number {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#readAtMs >= READING_MS) {
      const { bavail, bsize } = statfsSync(this.#folder);
      this.#readAtMs = nowMs;
      this.#bytes = bavail * bsize;
    }
    return this.#bytes;
  }
}

import type { Outcome } from '../../proto/outcome.ts';

/** Single samples are sent once so many of them and such a share of all parts were guilty. */
const FOUND_MIN = 4;
const GUILTY_SHARE = 0.75;

/** How a search goes: halving finds one guilty sample of many quickly, and many of many slowly. */
export class SearchTally {
  #answers = 0;
  #guilty = 0;
  /** Guilty parts of one sample. */
  #found = 0;

  #sinceMs: number | undefined;

  /** How long the search has gone on; @param nowMs by the clock that never jumps */
  durationMs(nowMs: number): number {
    this.#sinceMs ??= nowMs;
    return nowMs - this.#sinceMs;
  }

  /** A part that was cut out of a refused one was answered. */
  note({ from, to }: { from: number; to: number }, { kind }: Outcome): void {
    this.#answers++;
    if (kind !== 'partial' && kind !== 'atomic') return;
    this.#guilty++;
    if (to - from === 1) this.#found++;
  }

  get isMostGuilty(): boolean {
    return this.#found >= FOUND_MIN && this.#guilty > this.#answers * GUILTY_SHARE;
  }
}

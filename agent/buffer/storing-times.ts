/** Commits that come closer than this share an entry. */
const STEP_MS = 10;
/** Five minutes of them, the longest time that anybody looks back. */
const ENTRIES_MAX = 30_000;

/**
 * When the segments of this process were stored, by the clock that never jumps. What an earlier
 * process stored counts as stored when this one began.
 */
export class StoringTimes {
  /** Ascending in both. */
  readonly #entries: { firstId: number; atMs: number }[];

  constructor(openedAtMs: number) {
    this.#entries = [{ firstId: 0, atMs: openedAtMs }];
  }

  /** Segments from `firstId` on are stored now. */
  note(firstId: number, atMs: number): void {
    if (atMs - this.#entries.at(-1)!.atMs < STEP_MS) return;
    this.#entries.push({ firstId, atMs });
    if (this.#entries.length > ENTRIES_MAX) this.#entries.shift();
  }

  /** The lowest id that was stored after `atMs`; infinite: none was. */
  firstAfter(atMs: number): number {
    let found = Number.POSITIVE_INFINITY;
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at]!;
      if (entry.atMs <= atMs) break;
      found = entry.firstId;
    }
    return found;
  }
}

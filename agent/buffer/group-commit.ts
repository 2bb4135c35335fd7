import type { Append, Buffer } from './buffer.ts';
import type { Unavailable } from './disk-guard.ts';

/**
 * Commits together what arrives together: a sync costs as much for sixty-four requests as for one.
 *
 * A commit blocks the thread; what arrives meanwhile waits in the event loop and forms the next
 * group, so a slow disk makes larger groups by itself.
 */
export class GroupCommit {
  readonly #buffer: Buffer;
  readonly #onStored: () => void;
  #waiting: { append: Append; resolve: (unavailable: Unavailable | undefined) => void }[] = [];

  /** @param onStored called after each commit that kept something */
  constructor(buffer: Buffer, onStored: () => void) {
    this.#buffer = buffer;
    this.#onStored = onStored;
  }

  /** Resolves after the sync to disk, or to why nothing was kept. */
  add(append: Append): Promise<Unavailable | undefined> {
    return new Promise((resolve) => {
      if (this.#waiting.length === 0) setImmediate(() => this.commit());
      this.#waiting.push({ append, resolve });
    });
  }

  /** Commits what is waiting now. */
  commit(): void {
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0) return;
    const unavailable = this.#buffer.append(group.map(({ append }) => append));
    for (const { resolve } of group) resolve(unavailable);
    if (unavailable === undefined) this.#onStored();
  }
}

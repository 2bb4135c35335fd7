/** What was heard longer ago says nothing of a clock that has been set since. */
const WINDOW_MS = 600_000;

/**
 * How far the clock of an agent is behind the hub's, in ms. A batch says when it was made, and what
 * it took to arrive, or to be sent again, makes the clock look further behind than it is: of what
 * was heard lately the least counts.
 */
export class ClockOffset {
  #heard: { offsetMs: number; atMs: number }[] = [];

  /** A batch that was made at `sentAtMs` by the agent's clock has arrived; returns the offset. */
  hear(sentAtMs: number, nowMs: number): number {
    const offsetMs = nowMs - sentAtMs;
    // What is older and not less will never count again.
    this.#heard = this.#heard.filter(
      (heard) => heard.offsetMs < offsetMs && Math.abs(nowMs - heard.atMs) < WINDOW_MS,
    );
    this.#heard.push({ offsetMs, atMs: nowMs });
    return this.#heard[0]!.offsetMs;
  }
}

import type { Wakeup } from '../../base/wakeup.ts';

/** Live samples, the dictionary they need and heartbeats; or what is sent later, beside them. */
export type Traffic = 'live' | 'backlog';

/** A part of a body that waits for its turn. */
export interface Turn {
  traffic: Traffic;
  /** The lowest of its traffic is first. */
  order: number;
  /** Rung when it has become the next. */
  wakeup: Wakeup;
}

/** Of the bandwidth, while both wait: three quarters and one. */
const SHARES = { live: 3, backlog: 1 };

/**
 * Whose turn it is to send, by start-time fair queueing: each traffic has a clock that its bytes
 * move on, the slower the larger its share is, and the one that is behind is next. One that has
 * been idle starts where the other stands, so it is served next but is owed nothing for the time
 * in which it had nothing to say.
 */
export class LinkTurns {
  readonly #waiting: Record<Traffic, Turn[]> = { live: [], backlog: [] };
  readonly #clocks: Record<Traffic, number> = { live: 0, backlog: 0 };
  /** Where the clock of the last turn stood when it began. */
  #now = 0;

  join(turn: Turn): void {
    const { traffic } = turn;
    if (this.#waiting[traffic].length === 0) {
      this.#clocks[traffic] = Math.max(this.#clocks[traffic], this.#now);
    }
    this.#waiting[traffic].push(turn);
  }

  get next(): Turn | undefined {
    const live = firstOf(this.#waiting.live);
    const backlog = firstOf(this.#waiting.backlog);
    if (live === undefined || backlog === undefined) return live ?? backlog;
    return this.#clocks.live <= this.#clocks.backlog ? live : backlog;
  }

  /** @param bytes what it got to send, 0 when it has given up */
  leave(turn: Turn, bytes: number): void {
    const queue = this.#waiting[turn.traffic];
    queue.splice(queue.indexOf(turn), 1);
    if (bytes > 0) {
      this.#now = this.#clocks[turn.traffic];
      this.#clocks[turn.traffic] += bytes / SHARES[turn.traffic];
    }
    this.next?.wakeup.wake();
  }
}

function firstOf(queue: readonly Turn[]): Turn | undefined {
  return queue.length === 0 ? undefined : queue.reduce((a, b) => (b.order < a.order ? b : a));
}

import type { Clock } from '../../base/clock.ts';

/** A part of a request, and how long the destination has been failing on it. */
export interface FailingPart {
  from: number;
  to: number;
  /** When it was last answered 500; undefined once something else came. */
  failedAtMs: number | undefined;
  /** Time between such answers that speaks against this part; `gapMs` between the last two. */
  failedForMs: number;
  gapMs: number;
  /** Shared with all parts that are cut from the same one. */
  search: Search | undefined;
}

/** The search for the samples that the destination fails on. */
export interface Search {
  /** Time between answers of 500 while others passed. */
  spentMs: number;
}

/** Whether the destination takes what it has taken before; `unknown`: there is nothing yet. */
export type Others = 'pass' | 'fail' | 'unknown';

/** What to do with a part that was answered 500 once more. */
export type Verdict = 'wait' | 'halve' | 'set aside';

/** A process that stood still must not count as an hour of failures. */
const GAP_MAX_MS = 60_000;
/** How long a single sample has to go on failing, as a share of what its request had to. */
const PATIENCE_SHARE = 0.1;
const GUILTY_MAX = 10_000;

/**
 * Decides when samples that the destination keeps failing on (500) are set aside, so that they do
 * not block their lane for ever. Shared by all deliveries of a hub; docs/decisions/set-aside.md.
 *
 * It never fires in an outage of the whole destination: nothing counts against a sample while a
 * witness, a sample of the same tenant that was taken before, is not taken either.
 */
export class SetAside {
  readonly #afterMs: number;
  readonly #clock: Clock;
  /** By tenant, a body with one sample that the destination has taken. */
  readonly #witnesses = new Map<string, Uint8Array>();
  /** Series by tenant that samples were set aside of, and when that was last so. */
  readonly #guilty = new Map<string, number>();
  readonly #troubled = new Map<string, number>();

  /** @param afterMs a request has to fail for so long; 0: nothing is ever set aside */
  constructor(afterMs: number, clock: Clock) {
    this.#afterMs = afterMs;
    this.#clock = clock;
  }

  /** @param encode makes the body of a sample that was taken, the newest of its series */
  taken(tenant: string, encode: () => Uint8Array): void {
    if (this.#afterMs > 0) this.#witnesses.set(tenant, encode());
  }

  witness(tenant: string): Uint8Array | undefined {
    return this.#witnesses.get(tenant);
  }

  /** Notes that a part was answered 500; whether it is time to look whether others pass. */
  isDue(part: FailingPart, tenant: string): boolean {
    if (this.#afterMs === 0) return false;
    const nowMs = this.#clock.elapsedMs();
    const gapMs = nowMs - (part.failedAtMs ?? nowMs);
    part.gapMs = Math.min(gapMs, GAP_MAX_MS);
    part.failedAtMs = nowMs;
    if (part.search !== undefined) return true;
    part.failedForMs += part.gapMs;
    if (part.failedForMs < this.#afterMs && !this.#isRecent(this.#troubled.get(tenant))) {
      return false;
    }
    part.search = { spentMs: 0 };
    part.failedForMs = 0;
    part.gapMs = 0;
    return true;
  }

  /**
   * Judges a part that is due.
   *
   * @param series names the series of its first sample
   */
  judge(part: FailingPart, others: Others, tenant: string, series: () => string): Verdict {
    const { search, gapMs } = part;
    const isSingle = part.to - part.from === 1;
    if (search === undefined || others === 'fail') return 'wait';
    // Its halves may have a sample that passes, and so tell an outage from a guilty sample.
    if (others === 'unknown') return isSingle ? 'wait' : 'halve';
    search.spentMs += gapMs;
    if (search.spentMs >= this.#afterMs) return 'set aside';
    if (!isSingle) return 'halve';
    part.failedForMs += gapMs;
    const isKnown = this.#isRecent(this.#guilty.get(guiltKey(tenant, series())));
    return isKnown || part.failedForMs >= this.#afterMs * PATIENCE_SHARE ? 'set aside' : 'wait';
  }

  /** A sample of `series` was set aside: the next ones of it need no proof that takes an hour. */
  remember(tenant: string, series: string): void {
    const nowMs = this.#clock.elapsedMs();
    const key = guiltKey(tenant, series);
    this.#troubled.set(tenant, nowMs);
    // Deleted first, so that the one that was guilty longest ago stands in front.
    this.#guilty.delete(key);
    this.#guilty.set(key, nowMs);
    const [oldest] = this.#guilty.keys();
    if (this.#guilty.size > GUILTY_MAX) this.#guilty.delete(oldest!);
  }

  #isRecent(atMs: number | undefined): boolean {
    return atMs !== undefined && this.#clock.elapsedMs() - atMs <= this.#afterMs;
  }
}

function guiltKey(tenant: string, series: string): string {
  return `${tenant}\0${series}`;
}

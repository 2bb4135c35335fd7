import type { Clock } from '../../base/clock.ts';

/** A part of a request, and how long the destination has been failing on it. */
export interface FailingPart {
  from: number;
  to: number;
  /** When it was last answered 500; undefined once something else came. */
  failedAtMs: number | undefined;
  /** Time between such answers that speaks against this part. */
  failedForMs: number;
  /** Shared with all parts that are cut from the same one. */
  search: Search | undefined;
}

/** The search for the samples that the destination fails on. */
export interface Search {
  /** What had been accepted of other parts and requests when it began. */
  acceptedBefore: number;
  /** Time between answers of 500 while others were accepted. */
  spentMs: number;
}

/** What to do with a part that was answered 500 once more. */
export type Verdict = 'wait' | 'halve' | 'let another pass' | 'set aside';

/** A clock that was set must not count as an hour of failures. */
const GAP_MAX_MS = 60_000;
/** Of the time after which a request is searched: how long a single sample has to go on failing. */
const PATIENCE_SHARE = 0.1;
const OTHERS_WITHIN_MIN_MS = 60_000;
const GUILTY_MAX = 10_000;

/**
 * Decides when samples that the destination keeps failing on (500) are set aside, so that they do
 * not block their lane for ever. Shared by all deliveries of a hub; docs/decisions/set-aside.md.
 *
 * It never fires in an outage of the whole destination: samples are set aside only while others,
 * sent since the search for them began, are accepted.
 */
export class SetAside {
  readonly #afterMs: number;
  readonly #clock: Clock;
  #accepted = 0;
  #acceptedAtMs = 0;
  /** Series by tenant that samples were set aside of, and when that was last so. */
  readonly #guilty = new Map<string, number>();
  readonly #troubled = new Map<string, number>();

  /** @param afterMs a request has to fail for so long; 0: nothing is ever set aside */
  constructor(afterMs: number, clock: Clock) {
    this.#afterMs = afterMs;
    this.#clock = clock;
  }

  /** The destination has stored some samples. */
  accepted(): void {
    this.#accepted++;
    this.#acceptedAtMs = this.#clock.now();
  }

  /** @param seriesOf names the series of a sample of the request */
  judge(part: FailingPart, tenant: string, seriesOf: (row: number) => string): Verdict {
    if (this.#afterMs === 0) return 'wait';
    const gapMs = this.#gapMs(part);
    const isSingle = part.to - part.from === 1;
    if (part.search === undefined) {
      part.failedForMs += gapMs;
      if (part.failedForMs < this.#afterMs && !this.#isRecent(this.#troubled.get(tenant))) {
        return 'wait';
      }
      part.search = { acceptedBefore: this.#accepted, spentMs: 0 };
      part.failedForMs = 0;
    }
    if (!this.#takesOthers(part.search)) return isSingle ? 'let another pass' : 'halve';
    part.search.spentMs += gapMs;
    if (part.search.spentMs >= this.#afterMs) return 'set aside';
    if (!isSingle) return 'halve';
    part.failedForMs += gapMs;
    const isKnown = this.#isRecent(this.#guilty.get(guiltKey(tenant, seriesOf(part.from))));
    const isDue = part.failedForMs >= this.#afterMs * PATIENCE_SHARE;
    return isKnown || isDue ? 'set aside' : 'wait';
  }

  /** A sample of `series` was set aside: the next ones of it need no proof that takes an hour. */
  remember(tenant: string, series: string): void {
    const nowMs = this.#clock.now();
    const key = guiltKey(tenant, series);
    this.#troubled.set(tenant, nowMs);
    // Deleted first, so that the one that was guilty longest ago stands in front.
    this.#guilty.delete(key);
    this.#guilty.set(key, nowMs);
    const [oldest] = this.#guilty.keys();
    if (this.#guilty.size > GUILTY_MAX) this.#guilty.delete(oldest!);
  }

  /** Time since the part was answered 500 before, if nothing else came between. */
  #gapMs(part: FailingPart): number {
    const nowMs = this.#clock.now();
    const sinceMs = nowMs - (part.failedAtMs ?? nowMs);
    part.failedAtMs = nowMs;
    return Math.min(Math.max(sinceMs, 0), GAP_MAX_MS);
  }

  /** Whether the destination has accepted something since the search began, and not long ago. */
  #takesOthers({ acceptedBefore }: Search): boolean {
    const withinMs = Math.max(2 * PATIENCE_SHARE * this.#afterMs, OTHERS_WITHIN_MIN_MS);
    return this.#accepted > acceptedBefore && this.#agoMs(this.#acceptedAtMs) <= withinMs;
  }

  #isRecent(atMs: number | undefined): boolean {
    return atMs !== undefined && this.#agoMs(atMs) <= this.#afterMs;
  }

  #agoMs(atMs: number): number {
    return Math.abs(this.#clock.now() - atMs);
  }
}

function guiltKey(tenant: string, series: string): string {
  return `${tenant}\0${series}`;
}

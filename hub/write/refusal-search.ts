import type { Clock } from '../../base/clock.ts';
import type { RefusalReason } from '../../proto/settlement.ts';

/** One sample of a request. */
export interface SearchedRow {
  /** See OutgoingRequest. */
  seriesHash: number;
  isExemplar: boolean;
  timestamp: number;
}

interface Tenant {
  /** Requests that may still be sent, as of `countedAtMs`. */
  requests: number;
  countedAtMs: number;
  /** When a series was refused last; the one that was so longest ago stands in front. */
  series: Map<number, number>;
  /** Samples up to this time were refused for their age. */
  refusedUntil: number;
  refusedUntilAtMs: number;
  /** When anything was refused last. */
  refusedAtMs: number;
}

const MINUTE_MS = 60_000;
/** The search in one request holds up the innocent samples of its lane for so long. */
const SEARCH_MS_MAX = 5000;
const SERIES_MAX = 10_000;
/** Whoever was refused so long ago is innocent again. */
const REMEMBERED_MS = 10 * MINUTE_MS;

/** Refusals of a time, and not of a series. */
const OF_AGE: ReadonlySet<RefusalReason> = new Set<RefusalReason>(['out_of_bounds', 'too_old']);

/**
 * What is shared by the searches for guilty samples at a destination that stores the rest of a
 * request and names one refusal only: how many requests they may cost, and what they have found.
 *
 * Suspicion decides only in which body a sample goes, never how it is counted: a hash of labels that
 * is met twice, or a series that is taken again, costs a request and no sample.
 */
export class RefusalSearch {
  readonly #perMinute: number;
  readonly #clock: Clock;
  readonly #tenants = new Map<string, Tenant>();

  /** How long the search in one request may take. */
  readonly msMax: number;

  /** @param perMinute requests of each tenant; 0: nothing is ever searched */
  constructor(perMinute: number, clock: Clock, msMax = SEARCH_MS_MAX) {
    this.#perMinute = perMinute;
    this.msMax = msMax;
    this.#clock = clock;
  }

  /** Takes `requests` from the budget of a minute if it leaves `reserve` of it (0 to 1). */
  take(name: string, requests: number, reserve: number): boolean {
    const tenant = this.#tenant(name);
    const nowMs = this.#clock.elapsedMs();
    const grown = ((nowMs - tenant.countedAtMs) / MINUTE_MS) * this.#perMinute;
    tenant.requests = Math.min(this.#perMinute, tenant.requests + grown);
    tenant.countedAtMs = nowMs;
    if (tenant.requests - requests < reserve * this.#perMinute) return false;
    tenant.requests -= requests;
    return true;
  }

  /** Whether any sample of the tenant can be a suspect. */
  hasSuspects(name: string): boolean {
    const tenant = this.#tenants.get(name);
    if (tenant === undefined) return false;
    if (this.#isRecent(tenant.refusedAtMs)) return true;
    tenant.series.clear();
    return false;
  }

  isSuspect(name: string, row: SearchedRow): boolean {
    const tenant = this.#tenant(name);
    if (row.timestamp <= tenant.refusedUntil && this.#isRecent(tenant.refusedUntilAtMs)) {
      return true;
    }
    const atMs = tenant.series.get(keyOf(row));
    return atMs !== undefined && this.#isRecent(atMs);
  }

  /** A sample was refused alone. */
  refused(name: string, row: SearchedRow, reason: RefusalReason): void {
    const tenant = this.#tenant(name);
    const nowMs = this.#clock.elapsedMs();
    tenant.refusedAtMs = nowMs;
    if (OF_AGE.has(reason)) {
      const isOver = !this.#isRecent(tenant.refusedUntilAtMs);
      tenant.refusedUntil = isOver ? row.timestamp : Math.max(tenant.refusedUntil, row.timestamp);
      tenant.refusedUntilAtMs = nowMs;
      return;
    }
    const key = keyOf(row);
    tenant.series.delete(key);
    tenant.series.set(key, nowMs);
    const [oldest] = tenant.series.keys();
    if (tenant.series.size > SERIES_MAX) tenant.series.delete(oldest!);
  }

  /** A suspect was taken. */
  taken(name: string, row: SearchedRow): void {
    const tenant = this.#tenant(name);
    tenant.series.delete(keyOf(row));
    if (row.timestamp <= tenant.refusedUntil) tenant.refusedUntil = row.timestamp - 1;
  }

  #isRecent(atMs: number): boolean {
    return this.#clock.elapsedMs() - atMs <= REMEMBERED_MS;
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      const nowMs = this.#clock.elapsedMs();
      tenant = {
        requests: this.#perMinute,
        countedAtMs: nowMs,
        series: new Map(),
        refusedUntil: Number.NEGATIVE_INFINITY,
        refusedUntilAtMs: nowMs,
        refusedAtMs: Number.NEGATIVE_INFINITY,
      };
      this.#tenants.set(name, tenant);
    }
    return tenant;
  }
}

/** An exemplar that is refused again and again says nothing against the samples of its series. */
function keyOf({ seriesHash, isExemplar }: SearchedRow): number {
  return seriesHash * 2 + (isExemplar ? 1 : 0);
}

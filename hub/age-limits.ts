import type { Clock } from '../base/clock.ts';
import type { BoundedLog } from '../base/log.ts';
import type { RefusalReason } from '../proto/settlement.ts';
import { tsdbHeadOf } from '../proto/tsdb-head.ts';

/**
 * How far behind the newest sample of a tenant Prometheus' storage takes samples, and with it
 * Cortex, Mimir and Thanos: half of a block of two hours, when no out-of-order window is longer.
 */
const BOUNDS_MS = 3_600_000;

/** How far ahead of its own clock Cortex takes samples, unless told otherwise; Prometheus as well. */
const GRACE_MS = 600_000;

/** What is known of one tenant of the destination. */
export interface TenantAge {
  tenant: string;
  /**
   * The newest sample of the tenant, in ms since the Unix epoch, as far as it is known: from what the
   * destination took from us, or from its own word. -∞: not known.
   */
  newest: number;
  /** It has refused samples that were too far behind that. */
  isBounded: boolean;
}

/** Where it is remembered over restarts. */
export interface AgeStore {
  tenantAges(): TenantAge[];
  setTenantAges(ages: Iterable<TenantAge>): void;
}

export interface AgeLimitOptions {
  /** The operator's own limit; 0: none. */
  sampleAgeMaxMs: number;
  /** How far in the future, by the hub's clock, samples may be; 0: not limited. */
  sampleAheadMaxMs: number;
  outOfOrderTimeWindowMs: number;
}

/**
 * How old samples may be, so that what the destination will refuse anyway need not cross the
 * border: by the operator's limit, and, once a tenant has refused samples as out of bounds, by what
 * its storage is known to refuse. That counts from the newest sample of the tenant, whoever sent
 * it, and not from now: a tenant that one agent has to itself takes any backlog of that agent.
 * Timestamps that only a batch claims count for nothing.
 */
export class AgeLimits {
  readonly #options: AgeLimitOptions;
  readonly #store: AgeStore;
  readonly #clock: Clock;
  readonly #log: BoundedLog;
  readonly #tenants: Map<string, TenantAge>;
  readonly #unsaved = new Set<TenantAge>();

  constructor(
    options: AgeLimitOptions,
    { store, clock, log }: { store: AgeStore; clock: Clock; log: BoundedLog },
  ) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#tenants = new Map(store.tenantAges().map((age) => [age.tenant, this.#plausible(age)]));
  }

  /**
   * A stored timestamp of the future would keep the agents from sending anything, and so from ever
   * learning better. It is forgotten: the next refusal, or the next sample taken, says it anew.
   */
  #plausible(age: TenantAge): TenantAge {
    if (age.newest <= this.#clock.now() + GRACE_MS) return age;
    return { ...age, newest: Number.NEGATIVE_INFINITY };
  }

  /** The oldest timestamp that a tenant takes, in ms since the epoch, above 0; absent: no limit. */
  oldestAccepted(tenant: string): number | undefined {
    const { sampleAgeMaxMs } = this.#options;
    const limits = sampleAgeMaxMs === 0 ? [] : [this.#clock.now() - sampleAgeMaxMs];
    const age = this.#tenants.get(tenant);
    if (age?.isBounded === true) limits.push(age.newest - this.#boundsMs);
    const oldest = Math.max(0, ...limits);
    return oldest === 0 ? undefined : oldest;
  }

  /**
   * The tenant has taken samples, the newest of them at `timestamp`. One of the far future proves
   * nothing: a series that the destination drops by its rules is answered 200 unseen.
   */
  taken(tenant: string, timestamp: number): void {
    const age = this.#ageOf(tenant);
    if (timestamp <= age.newest || timestamp > this.#newestMax) return;
    age.newest = timestamp;
    if (age.isBounded) this.#unsaved.add(age);
  }

  /**
   * The tenant has refused a sample with `message`. The newest sample that the destination names
   * holds, higher or lower than what is known: others move it, and storage that was lost moves it
   * back.
   */
  refused(tenant: string, reason: RefusalReason, message: string): void {
    const isTooOld = reason === 'out_of_bounds' || (reason === 'too_old' && this.#isWindowDeclared);
    if (!isTooOld) return;
    const age = this.#ageOf(tenant);
    const head = tsdbHeadOf(message);
    if (head !== undefined && head <= this.#newestMax && head !== age.newest) {
      age.newest = head;
      this.#unsaved.add(age);
    }
    if (!age.isBounded) this.#bound(age);
  }

  #bound(age: TenantAge): void {
    const { tenant } = age;
    age.isBounded = true;
    this.#unsaved.add(age);
    this.#log.warn(
      `bounds ${tenant}`,
      { tenant, behindMs: this.#boundsMs },
      'the destination refuses samples that are too far behind the newest of their tenant: agents ' +
        'keep older ones from now on; to deliver them set out_of_order_time_window at the ' +
        'destination and declare it as destination.out_of_order_time_window',
    );
  }

  /** Tenants whose agents keep what is too old. */
  get boundedTenants(): string[] {
    return [...this.#tenants.values()].filter((age) => age.isBounded).map(({ tenant }) => tenant);
  }

  /** Writes what has changed to the store. @throws errors of SQLite */
  save(): void {
    if (this.#unsaved.size === 0) return;
    this.#store.setTenantAges(this.#unsaved);
    this.#unsaved.clear();
  }

  /** The store has lost what was saved. */
  saveAll(): void {
    for (const age of this.#tenants.values()) if (age.isBounded) this.#unsaved.add(age);
  }

  /** No sample of a tenant can be newer. */
  get #newestMax(): number {
    const { sampleAheadMaxMs } = this.#options;
    if (sampleAheadMaxMs === 0) return Number.POSITIVE_INFINITY;
    return this.#clock.now() + Math.max(sampleAheadMaxMs, GRACE_MS);
  }

  get #isWindowDeclared(): boolean {
    return this.#options.outOfOrderTimeWindowMs > 0;
  }

  get #boundsMs(): number {
    return Math.max(BOUNDS_MS, this.#options.outOfOrderTimeWindowMs);
  }

  #ageOf(tenant: string): TenantAge {
    let age = this.#tenants.get(tenant);
    if (age === undefined) {
      age = { tenant, newest: Number.NEGATIVE_INFINITY, isBounded: false };
      this.#tenants.set(tenant, age);
    }
    return age;
  }
}

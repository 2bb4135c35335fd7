import type { Answer, HubState } from '../../proto/answer.ts';
import type { HubClock } from '../hub-clock.ts';
import type { TimeWindow } from './contracts.ts';

/** Which timestamps the destination takes of each tenant, as the hub says. */
export class TimeWindows {
  readonly #hubClock: HubClock;
  /** By tenant; absent: no limit. */
  readonly #oldest = new Map<string, number>();
  /** 0: the hub does not say. */
  #aheadMaxMs = 0;

  constructor(hubClock: HubClock) {
    this.#hubClock = hubClock;
  }

  /** What a tenant's samples may be; undefined before the hub has said anything. */
  of(tenant: string): TimeWindow | undefined {
    const hubMs = this.#hubClock.now();
    if (hubMs === undefined) return undefined;
    const aheadMs = this.#aheadMaxMs === 0 ? Number.POSITIVE_INFINITY : this.#aheadMaxMs;
    return {
      oldest: this.#oldest.get(tenant) ?? Number.NEGATIVE_INFINITY,
      newest: hubMs + aheadMs,
    };
  }

  /** The answer to a batch of a tenant. Its clock is not heard here: the answer may be old. */
  hear(tenant: string, { oldestAcceptedMs }: Answer): void {
    this.#set(tenant, oldestAcceptedMs);
  }

  adopt({ aheadMaxMs, tenants }: HubState): void {
    this.#aheadMaxMs = aheadMaxMs;
    for (const { tenant, oldestAcceptedMs } of tenants) this.#set(tenant, oldestAcceptedMs);
  }

  #set(tenant: string, oldestAcceptedMs: number | undefined): void {
    if (oldestAcceptedMs === undefined) this.#oldest.delete(tenant);
    else this.#oldest.set(tenant, oldestAcceptedMs);
  }
}

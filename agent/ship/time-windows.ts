import type { Clock } from '../../base/clock.ts';
import type { Answer, HubState } from '../../proto/answer.ts';
import type { TimeWindow } from './contracts.ts';

/** Which timestamps the destination takes of each tenant, as the hub says. */
export class TimeWindows {
  readonly #clock: Clock;
  /** By tenant; absent: no limit. */
  readonly #oldest = new Map<string, number>();
  /** Its clock, and when it said so by ours that never jumps; undefined before its first word. */
  #hub: { clockMs: number; atMs: number } | undefined;
  /** 0: the hub does not say. */
  #aheadMaxMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What a tenant's samples may be; undefined before the hub has said anything. */
  of(tenant: string): TimeWindow | undefined {
    if (this.#hub === undefined) return undefined;
    const elapsedMs = this.#clock.elapsedMs() - this.#hub.atMs;
    const aheadMs = this.#aheadMaxMs === 0 ? Number.POSITIVE_INFINITY : this.#aheadMaxMs;
    return {
      oldest: this.#oldest.get(tenant) ?? Number.NEGATIVE_INFINITY,
      newest: this.#hub.clockMs + elapsedMs + aheadMs,
    };
  }

  /** How far the hub's clock is ahead of ours, in ms; 0 before its first word. */
  get hubAheadMs(): number {
    if (this.#hub === undefined) return 0;
    const elapsedMs = this.#clock.elapsedMs() - this.#hub.atMs;
    return this.#hub.clockMs + elapsedMs - this.#clock.now();
  }

  /** The answer to a batch of a tenant. */
  hear(tenant: string, { hubClockMs, oldestAcceptedMs }: Answer): void {
    this.#hearClock(hubClockMs);
    this.#set(tenant, oldestAcceptedMs);
  }

  adopt({ hubClockMs, aheadMaxMs, tenants }: HubState): void {
    this.#hearClock(hubClockMs);
    this.#aheadMaxMs = aheadMaxMs;
    for (const { tenant, oldestAcceptedMs } of tenants) this.#set(tenant, oldestAcceptedMs);
  }

  #hearClock(clockMs: number): void {
    this.#hub = { clockMs, atMs: this.#clock.elapsedMs() };
  }

  #set(tenant: string, oldestAcceptedMs: number | undefined): void {
    if (oldestAcceptedMs === undefined) this.#oldest.delete(tenant);
    else this.#oldest.set(tenant, oldestAcceptedMs);
  }
}

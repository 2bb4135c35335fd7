import type { Clock } from '../base/clock.ts';

/** When an agent was heard last, and how far its clock was behind the hub's. */
export interface AgentHeard {
  agent: string;
  /** By the hub's clock, in ms since the Unix epoch. */
  atMs: number;
  clockOffsetMs: number;
}

/** How far the destination has got with one tenant of an agent. */
export interface TenantLag {
  agent: string;
  /** As the destination names it; one that the agent may not write into as the agent does. */
  tenant: string;
  /**
   * Timestamp of the newest sample that was delivered; where none ever was, when the first one was
   * offered. By the agent's clock, in ms since the Unix epoch.
   */
  sinceMs: number;
  isAnswered: boolean;
}

/** Where it is remembered over restarts. */
export interface LagStore {
  agentsHeard(): AgentHeard[];
  lags(): TenantLag[];
  setLags(heard: Iterable<AgentHeard>, lags: Iterable<TenantLag>): void;
}

/** An agent invents tenants: so many of those that it may not write into are worth a series. */
const STRANGE_TENANTS_MAX = 100;

/**
 * How far behind the destination is, by agent and tenant: one blocked tenant does not show in what
 * the others deliver, and an agent that has gone silent must not look better for a restart of the
 * hub.
 */
export class AgentLag {
  readonly #store: LagStore;
  readonly #clock: Clock;
  /** Tenants that each agent of the configuration may write into. */
  readonly #known: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #agents = new Map<string, AgentHeard>();
  readonly #tenants = new Map<string, Map<string, TenantLag>>();
  readonly #unsavedAgents = new Set<AgentHeard>();
  readonly #unsavedLags = new Set<TenantLag>();

  /**
   * @param known agents of the configuration with their tenants: what was stored of others is over
   * @throws errors of the store
   */
  constructor(
    known: readonly { id: string; tenants: readonly string[] }[],
    { store, clock }: { store: LagStore; clock: Clock },
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#known = new Map(known.map(({ id, tenants }) => [id, new Set(tenants)]));
    for (const heard of store.agentsHeard()) {
      if (this.#known.has(heard.agent)) this.#agents.set(heard.agent, heard);
    }
    for (const lag of store.lags()) {
      if (this.#isKnown(lag.agent, lag.tenant)) {
        this.#tenantsOf(lag.agent).set(lag.tenant, lag);
      }
    }
  }

  /** A batch or heartbeat of `agent` has arrived; its clock is so far behind ours. */
  heard(agent: string, clockOffsetMs: number): void {
    const heard = this.#agents.get(agent) ?? { agent, atMs: 0, clockOffsetMs: 0 };
    heard.atMs = this.#clock.now();
    heard.clockOffsetMs = clockOffsetMs;
    this.#agents.set(agent, heard);
    this.#unsavedAgents.add(heard);
  }

  /** Samples are offered: from now on they wait, unless some of their tenant were delivered before. */
  offered(agent: string, tenant: string): void {
    const tenants = this.#tenantsOf(agent);
    if (tenants.has(tenant)) return;
    const namedMax = (this.#known.get(agent)?.size ?? 0) + STRANGE_TENANTS_MAX;
    if (!this.#isKnown(agent, tenant) && tenants.size >= namedMax) return;
    const lag = { agent, tenant, sinceMs: this.#agentNow(agent), isAnswered: false };
    tenants.set(tenant, lag);
    this.#unsavedLags.add(lag);
  }

  /**
   * The destination has samples of the tenant, up to `newestMs`. One from the future says nothing
   * of what is missing until then.
   */
  delivered(agent: string, tenant: string, newestMs: number): void {
    if (!Number.isFinite(newestMs)) return;
    const sinceMs = Math.min(newestMs, this.#agentNow(agent));
    const tenants = this.#tenantsOf(agent);
    const lag = tenants.get(tenant) ?? { agent, tenant, sinceMs, isAnswered: false };
    lag.sinceMs = lag.isAnswered ? Math.max(lag.sinceMs, sinceMs) : sinceMs;
    lag.isAnswered = true;
    tenants.set(tenant, lag);
    this.#unsavedLags.add(lag);
  }

  /** When an agent was heard last, and how far its clock is behind ours; undefined: never. */
  agent(agent: string): AgentHeard | undefined {
    return this.#agents.get(agent);
  }

  /** The lag of each tenant now, in seconds of the agent's time. */
  *lags(): Generator<TenantLag & { seconds: number }> {
    for (const [agent, tenants] of this.#tenants) {
      const nowMs = this.#agentNow(agent);
      for (const lag of tenants.values()) yield { ...lag, seconds: (nowMs - lag.sinceMs) / 1000 };
    }
  }

  /** Writes what has changed to the store, at once. @throws errors of the store */
  save(): void {
    if (this.#unsavedAgents.size + this.#unsavedLags.size === 0) return;
    this.#store.setLags(this.#unsavedAgents, this.#unsavedLags);
    this.#unsavedAgents.clear();
    this.#unsavedLags.clear();
  }

  /** The store has lost what was saved. */
  saveAll(): void {
    for (const heard of this.#agents.values()) this.#unsavedAgents.add(heard);
    for (const tenants of this.#tenants.values()) {
      for (const lag of tenants.values()) this.#unsavedLags.add(lag);
    }
  }

  #isKnown(agent: string, tenant: string): boolean {
    return this.#known.get(agent)?.has(tenant) === true;
  }

  #agentNow(agent: string): number {
    return this.#clock.now() - (this.#agents.get(agent)?.clockOffsetMs ?? 0);
  }

  #tenantsOf(agent: string): Map<string, TenantLag> {
    let tenants = this.#tenants.get(agent);
    if (tenants === undefined) {
      tenants = new Map();
      this.#tenants.set(agent, tenants);
    }
    return tenants;
  }
}

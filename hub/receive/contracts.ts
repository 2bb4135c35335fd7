import type { Settlement } from '../../proto/settlement.ts';

/** An agent as its credentials have shown it. */
export interface KnownAgent {
  id: string;
  /** What it may write into; the first is its default. */
  tenants: readonly string[];
}

/** @param named a tenant as the agent names it: empty for its default */
export function mayWriteInto({ tenants }: KnownAgent, named: string): boolean {
  return named === '' || tenants.includes(named);
}

export interface ReceiveLimits {
  decodedBytesMax: number;
  /** Decoded batches that wait for the destination, over all agents. */
  heldBytesMax: number;
  seriesPerAgentMax: number;
  /** How far in the future, by the hub's clock, samples may be. */
  aheadMaxMs: number;
}

/** What the destination makes of old and of future samples; `tenant` as it names it. */
export interface AgePolicy {
  /** The oldest timestamp that is taken, in ms since the Unix epoch; undefined: no limit. */
  oldestAccepted(tenant: string): number | undefined;
}

/** What the room reports; the metrics themselves are made in hub/status. */
export interface ReceiveMetrics {
  /** @param clockOffsetMs how far the agent's clock is behind ours */
  heard(agent: string, clockOffsetMs: number): void;
  /** Samples are there; @param tenant as the destination names it, or one that is not the agent's */
  offered(agent: string, tenant: string): void;
  /**
   * @param newestMs of what the destination has taken or deduplicated; -∞: nothing
   * @param tenant as the destination names it
   */
  settled(agent: string, settlement: Settlement, newestMs: number, tenant: string): void;
  event(agent: string, name: string): void;
}

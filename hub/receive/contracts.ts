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
}

/** What the room reports; the metrics themselves are made in hub/status. */
export interface ReceiveMetrics {
  heard(agent: string, sentAtMs: number): void;
  settled(agent: string, settlement: Settlement, newestTimestamp: number): void;
  event(agent: string, name: string): void;
}

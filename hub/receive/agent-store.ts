import type { PositionRange } from '../../proto/position-ranges.ts';

/**
 * The durable memory that receiving needs; hub/store provides it. Everything throws StoreUnavailable
 * while it cannot be had.
 */
export interface AgentStore {
  readonly hub: bigint;
  /** What `work` stores is committed and synced at once, or none of it is. */
  together<T>(work: () => T): T;
  addEntries(agent: string, epoch: bigint, firstId: number, entries: readonly Uint8Array[]): void;
  entries(agent: string): Iterable<{ epoch: bigint; id: number; entry: Uint8Array }>;
  removeEpoch(agent: string, epoch: bigint): void;
  positions(agent: string): { tenant: string; range: PositionRange }[];
  setPositions(agent: string, tenant: string, ranges: Iterable<PositionRange>): void;
  runs(agent: string): KnownRuns;
  setRuns(agent: string, runs: KnownRuns): void;
}

/** What is remembered of an agent's runs. */
export interface KnownRuns {
  current: bigint | undefined;
  replaced: bigint[];
}

import type { SampleColumns } from '../../proto/sample-columns.ts';
import type { Settlement } from '../../proto/settlement.ts';
import type { SeriesCopy } from './dictionary-log.ts';

/** The road from decoded samples to the destination, for one agent and tenant. */
export interface TenantWriter<Copy extends SeriesCopy> {
  /** Whether every sample names a series of the tenant; nothing is written yet. */
  prepare(
    batch: { columns: SampleColumns; mayBeRedelivered: boolean },
    series: Copy,
  ): { kind: 'prepared'; write: PreparedWrite } | { kind: 'malformed'; message: string };
  /** Drops what is queued; what is in flight goes on. */
  cancelQueued(): void;
  /** Resolves when nothing is in flight and nothing queued. */
  idle(): Promise<void>;
}

/** What became of a batch that the destination has answered for. */
export interface Settled {
  settlement: Settlement;
  /**
   * Newest timestamp that the destination has taken or deduplicated, in ms since the Unix epoch. One
   * that only the batch claims is not in it: that sample may be the one that was refused.
   */
  newestMs: number;
}

/** `newestMs` where nothing was taken. */
export const NOTHING_NEW = Number.NEGATIVE_INFINITY;

export interface PreparedWrite {
  heldBytes: number;
  /** Resolves when the destination has answered for every sample, or it was cancelled. */
  settle(): Promise<({ kind: 'settled' } & Settled) | { kind: 'cancelled' }>;
}

import type { ColumnArrays } from '../proto/sample-columns.ts';
import type { Losses } from './buffer/losses.ts';
import type { AgentConfig } from './config.ts';
import type { Discarded, DiscardRequest } from './discard-request.ts';
import type { LinkStats } from './ship/link-pacer.ts';
import type { ShipStats } from './ship/ship-stats.ts';

/**
 * What the main thread and the buffer's worker say to each other. Samples travel as typed arrays
 * whose memory changes hands; nothing is copied per sample.
 */
export type ToWorker =
  | {
      kind: 'append';
      id: number;
      tenant: string;
      columns: ColumnArrays;
      /** The life of the worker, and how many epochs were begun in it: the ids are of that one. */
      life: number;
      epochNumber: number;
      newEntries?: { firstId: number; entries: Uint8Array[] };
    }
  | { kind: 'stats'; id: number }
  | { kind: 'discard'; id: number; request: DiscardRequest }
  /** A reload has changed what may be parked. */
  | { kind: 'limit parked'; bytesMax: number }
  /** Send everything there is, then close; what is left at the deadline stays on disk. */
  | { kind: 'stop'; deadlineMs: number };

export type FromWorker =
  /**
   * A buffer is being checked or salvaged, which may take minutes, and a new life begins with the
   * `ready` after it: nothing can be stored before, and ids are to be forgotten.
   */
  | { kind: 'preparing'; life: number }
  /** Part of the durable dictionary log, in order, before `ready`. */
  | { kind: 'entries'; firstId: number; entries: Uint8Array[] }
  | { kind: 'ready'; run: string }
  | { kind: 'appended'; id: number; unavailable?: string }
  /** The hub has just said its time, in ms since the Unix epoch. */
  | { kind: 'hub clock'; hubMs: number }
  | { kind: 'stats'; id: number; stats: WorkerStats }
  | { kind: 'discarded'; id: number; discarded: Discarded }
  /** The worker cannot go on; the message says what to do. */
  | { kind: 'failed'; message: string };

export interface WorkerStats {
  run: string;
  epoch: string;
  dictionaryLength: number;
  backlog: Map<string, number>;
  packedSamples: number;
  parkedSamples: number;
  parkedBytes: number;
  bufferBytes: number;
  oldestTimestamp: number | undefined;
  losses: Losses;
  ship: ShipStats;
  /** Of the TCP connections. */
  linkBytes: { up: number; down: number };
  /** Estimated; what the limits of the link go by. */
  linkIpBytes: { up: number; down: number };
  link: LinkStats;
  hubUrl: string;
  clock: {
    /** How far the hub's clock is ahead of the machine's; undefined: the hub was not heard. */
    aheadMs: number | undefined;
    /** Whether the two agree: otherwise nothing is evicted for its age. */
    isConfirmed: boolean;
  };
}

/** What a worker thread is started with. */
export interface WorkerStart {
  config: AgentConfig;
}

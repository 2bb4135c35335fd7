import type { DestinationState } from '../../proto/answer.ts';
import type { Settlement } from '../../proto/settlement.ts';

/** What metrics and status need of the buffer and of the shipping. */
export interface AgentStats {
  run: string;
  epoch: string;
  dictionaryLength: number;
  /** Samples that wait, by tenant. */
  backlog: ReadonlyMap<string, number>;
  packedSamples: number;
  parkedSamples: number;
  parkedBytes: number;
  bufferBytes: number;
  /** Milliseconds since the Unix epoch. */
  oldestTimestamp: number | undefined;
  losses: {
    samples: Record<string, number>;
    vanishedSegments: number;
    salvages: number;
    salvagedSamples: number;
  };
  ship: {
    settled: Settlement;
    resumed: number;
    replies: ReadonlyMap<string, number>;
    events: ReadonlyMap<string, number>;
    lastAnswer: { atMs: number } | undefined;
    lastTrouble: { atMs: number; message: string } | undefined;
    destination: DestinationState | undefined;
  };
  /** Of the TCP connections to the hub, HTTP and TLS included. */
  linkBytes: { up: number; down: number };
  /** Estimated; what the limits of the link go by. */
  linkIpBytes: { up: number; down: number };
  link: {
    /** Whether anything is limited at all. */
    isLimited: boolean;
    /** Now; 0: not limited. */
    bytesPerSecondMax: number;
    /** Whether the schedule lets backlog begin now. */
    isBacklogOpen: boolean;
    /** One entry for each body that waits. */
    waiting: readonly { traffic: string; hold: string }[];
    quotas: readonly {
      period: string;
      bytesMax: number;
      reserveBytes: number;
      usedBytes: number;
      resetsAtMs: number;
    }[];
  };
  hubUrl: string;
  clock: {
    /** How far the hub's clock is ahead of the machine's; undefined: the hub was not heard. */
    aheadMs: number | undefined;
    isConfirmed: boolean;
  };
}

import type { Settlement } from '../../proto/settlement.ts';

/** What metrics and status need of the buffer and of the shipping. */
export interface AgentStats {
  run: string;
  epoch: string;
  dictionaryLength: number;
  /** Samples that wait, by tenant. */
  backlog: ReadonlyMap<string, number>;
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
    lastAnswerAtMs: number | undefined;
    lastTrouble: { atMs: number; message: string } | undefined;
  };
  linkBytes: { up: number; down: number };
  hubUrl: string;
}

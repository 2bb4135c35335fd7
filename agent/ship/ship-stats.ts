import type { DestinationState } from '../../proto/answer.ts';
import { addSettlement, emptySettlement, type Settlement } from '../../proto/settlement.ts';

/** What shipping has come to since the start of the process; read by metrics and status. */
export interface ShipStats {
  /** Samples the destination has answered for, as the hub reported them. */
  settled: Settlement;
  /** Samples found answered for when state was compared, after an answer had been lost. */
  resumed: number;
  batches: number;
  /** Requests by how they ended: the kinds of HubReply. */
  replies: Map<string, number>;
  /** Names of what went wrong and how often: diverged, unknown stream, duplicate agent, ... */
  events: Map<string, number>;
  lastAnswerAtMs: number | undefined;
  lastTrouble: { atMs: number; message: string } | undefined;
  /** How the destination does, as the hub said last; undefined: it has not said. */
  destination: DestinationState | undefined;
}

export function emptyShipStats(): ShipStats {
  return {
    settled: emptySettlement(),
    resumed: 0,
    batches: 0,
    replies: new Map(),
    events: new Map(),
    lastAnswerAtMs: undefined,
    lastTrouble: undefined,
    destination: undefined,
  };
}

export function countOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

export function recordAnswer(stats: ShipStats, settlement: Settlement, nowMs: number): void {
  addSettlement(stats.settled, settlement);
  stats.batches++;
  stats.lastAnswerAtMs = nowMs;
}

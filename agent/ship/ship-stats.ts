import type { Clock } from '../../base/clock.ts';
import type { DestinationState } from '../../proto/answer.ts';
import { addSettlement, emptySettlement, type Settlement } from '../../proto/settlement.ts';

/** When something happened: by the machine's clock, and by the one that never jumps. */
export interface Moment {
  atMs: number;
  elapsedMs: number;
}

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
  lastAnswer: Moment | undefined;
  lastTrouble: (Moment & { message: string }) | undefined;
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
    lastAnswer: undefined,
    lastTrouble: undefined,
    destination: undefined,
  };
}

export function countOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

export function momentOf(clock: Clock): Moment {
  return { atMs: clock.now(), elapsedMs: clock.elapsedMs() };
}

export function recordAnswer(stats: ShipStats, settlement: Settlement, clock: Clock): void {
  addSettlement(stats.settled, settlement);
  stats.batches++;
  stats.lastAnswer = momentOf(clock);
}

import type { Buffer } from './buffer/buffer.ts';
import type { Losses } from './buffer/losses.ts';
import type { HubClock } from './hub-clock.ts';
import type { HubClient } from './ship/hub-client.ts';
import type { BothWays } from './ship/link-bytes.ts';
import type { LinkPacer } from './ship/link-pacer.ts';
import type { ShipStats } from './ship/ship-stats.ts';
import type { WorkerStats } from './worker-messages.ts';

/** What outlives a buffer, as far as it is counted. */
export interface CountedParts {
  link: HubClient;
  pacer: LinkPacer;
  hubClock: HubClock;
  ship: ShipStats;
  losses: Losses;
}

/** What the worker tells of itself and of the buffer it works on. */
export function statsOf(
  { hubClock, link, pacer, ship, losses }: CountedParts,
  buffer: Buffer,
): WorkerStats {
  return {
    run: buffer.run.toString(16),
    epoch: buffer.dictionary.epoch.toString(16),
    dictionaryLength: buffer.dictionary.length,
    backlog: new Map(buffer.backlog),
    packedSamples: buffer.packedSamples,
    parkedSamples: buffer.parkedSamples,
    parkedBytes: buffer.parkedBytes,
    bufferBytes: buffer.usedBytes(),
    oldestTimestamp: buffer.oldestTimestamp(),
    losses,
    ship,
    linkBytes: bothWays(link.linkBytes),
    linkIpBytes: bothWays(link.linkBytes.ip),
    link: pacer.stats(),
    hubUrl: link.url,
    clock: {
      aheadMs: hubClock.aheadMs(),
      isConfirmed: hubClock.confirmed() !== undefined,
    },
  };
}

function bothWays({ up, down }: BothWays): { up: number; down: number } {
  return { up, down };
}

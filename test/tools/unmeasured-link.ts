import type { HubLink, HubReply } from '../../agent/ship/hub-client.ts';

/** A link of which nothing was measured: it limits no body, and packs go one by one. */
export abstract class UnmeasuredLink implements HubLink {
  abstract postBatch(...request: Parameters<HubLink['postBatch']>): Promise<HubReply>;
  abstract askPositions(signal: AbortSignal): Promise<HubReply>;

  bodyBytes(): number {
    return Number.POSITIVE_INFINITY;
  }

  atOnce(): number {
    return 1;
  }
}

import type { StatusSource } from '../../base/status-routes.ts';
import { version } from '../../base/version.ts';
import type { HubGauges, HubMetrics } from './hub-metrics.ts';

/** What the hub tells of itself; never a token. */
export function hubStatus(
  metrics: HubMetrics,
  gauges: HubGauges,
  config: {
    agents: readonly { id: string; tenants: readonly string[] }[];
    destination: { kind: string; url: string };
  },
): StatusSource {
  return {
    isReady: () => true,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
    status: () =>
      Promise.resolve({
        version,
        destination: { kind: config.destination.kind, url: config.destination.url },
        heldBytes: gauges.heldBytes(),
        refused: gauges.refused(),
        agents: config.agents.map(({ id, tenants }) => ({
          id,
          tenants,
          ...describeHeard(metrics.agents.get(id)),
        })),
      }),
  };
}

function describeHeard(
  heard: { atMs: number; clockOffsetMs: number; newestTimestamp: number | undefined } | undefined,
): object {
  if (heard === undefined) return { lastHeard: null };
  return {
    lastHeard: new Date(heard.atMs).toISOString(),
    clockOffsetSeconds: heard.clockOffsetMs / 1000,
    newestSampleMs: heard.newestTimestamp ?? null,
  };
}

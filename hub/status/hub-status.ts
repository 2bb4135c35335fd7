import type { StatusSource } from '../../base/status-routes.ts';
import { version } from '../../base/version.ts';
import type { AgentHeard, TenantLag } from '../agent-lag.ts';
import type { HubGauges, HubMetrics, StoreState } from './hub-metrics.ts';

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
        store: describeStore(gauges.store()),
        agents: gauges.agents().map(({ id, heard }) => ({
          id,
          tenants: config.agents.find((agent) => agent.id === id)?.tenants ?? [],
          ...describeHeard(heard),
          lags: describeLags([...gauges.lags()].filter(({ agent }) => agent === id)),
        })),
      }),
  };
}

function describeHeard(heard: AgentHeard | undefined): object {
  if (heard === undefined) return { lastHeard: null };
  return {
    lastHeard: new Date(heard.atMs).toISOString(),
    clockOffsetSeconds: heard.clockOffsetMs / 1000,
  };
}

/** `newestSampleMs`: null where samples wait and none was ever delivered. */
function describeLags(lags: readonly (TenantLag & { seconds: number })[]): object[] {
  return lags.map(({ tenant, seconds, isAnswered, sinceMs }) => ({
    tenant,
    lagSeconds: seconds,
    newestSampleMs: isAnswered ? sinceMs : null,
  }));
}

function describeStore({ problem, lastDamage, ...damaged }: StoreState): object {
  return {
    problem: problem ?? null,
    ...damaged,
    lastDamage: lastDamage && { ...lastDamage, at: new Date(lastDamage.atMs).toISOString() },
  };
}

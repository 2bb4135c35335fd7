import type { DestinationKind } from '../proto/outcome.ts';
import type { HubConfig } from './config.ts';

/**
 * What a destination refuses behind the newest sample of a tenant is named there by this setting;
 * destinations that are not listed refuse nothing for its age.
 */
const WINDOW_SETTINGS: Partial<Record<DestinationKind, string>> = {
  cortex: 'out_of_order_time_window in the limits of the tenant',
  mimir: 'out_of_order_time_window in the limits of the tenant',
  thanos: '--tsdb.out-of-order.time-window',
  prometheus: 'storage.tsdb.out_of_order_time_window',
};

/**
 * A line for each set of agents that would lose their backlog to each other's live samples: without
 * an out-of-order window the destination refuses what is an hour behind the newest sample of its
 * tenant. For the log at the start and for check-config.
 */
export function sharedTenantWarnings(
  config: Pick<HubConfig, 'agents'> & {
    destination: Pick<HubConfig['destination'], 'kind' | 'outOfOrderTimeWindowMs'>;
  },
): string[] {
  const { kind, outOfOrderTimeWindowMs } = config.destination;
  const setting = WINDOW_SETTINGS[kind];
  if (setting === undefined || outOfOrderTimeWindowMs > 0) return [];
  return sharers(config.agents, kind).map(
    ({ what, agents }) =>
      `${what} shared by the agents ${agents.join(', ')}: after an outage of more than an hour ` +
      'the destination refuses the backlog of one behind the live samples of another. ' +
      `Set ${setting} to the longest outage to be survived and declare it here as ` +
      `destination.out_of_order_time_window, or give each agent ${alternative(kind)} of its own.`,
  );
}

/** Prometheus looks at no tenant: all who write into it share one head. */
function sharers(
  agents: HubConfig['agents'],
  kind: DestinationKind,
): { what: string; agents: string[] }[] {
  const ids = agents.map(({ id }) => id);
  if (kind === 'prometheus') {
    return ids.length < 2 ? [] : [{ what: 'destination: one Prometheus is', agents: ids }];
  }
  const tenants = new Set(agents.flatMap((agent) => agent.tenants));
  return [...tenants]
    .map((tenant) => ({
      what: `agents: tenant ${tenant} is`,
      agents: agents.filter((agent) => agent.tenants.includes(tenant)).map(({ id }) => id),
    }))
    .filter((shared) => shared.agents.length > 1);
}

function alternative(kind: DestinationKind): string {
  return kind === 'prometheus' ? 'a Prometheus' : 'a tenant';
}

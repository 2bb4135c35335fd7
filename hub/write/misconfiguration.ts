import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';

/** What an operator should look at when the destination answers with `status`. */
export function misconfigurationAdvice(status: number, protocol: WriteProtocol): string {
  if (status < 300) {
    return (
      'destination.protocol: v1, as what answers there seems to take remote write 1.0 only: its ' +
      'answer lacks the headers X-Prometheus-Remote-Write-*-Written'
    );
  }
  switch (status) {
    case 401:
    case 403:
    case 407:
      return 'credentials under destination, destination.tenant_header, the tenants of the agent';
    case 404:
    case 405:
      return 'the path in destination.url: Cortex takes writes at /api/v1/push';
    case 415:
      return protocol === 'v2'
        ? 'destination.protocol: v1, as remote write 2.0 is not taken there; Cortex takes it with ' +
            '-distributor.remote-writev2-enabled'
        : 'destination.protocol: v2 or destination.url, as remote write 1.0 is not taken there';
    default:
      return 'destination.url: a redirect is not followed';
  }
}

/** For a cluster whose samples a destination refuses because it has as many clusters as it may. */
export const HA_CLUSTERS_ADVICE =
  'the destination takes no further HA cluster of this tenant: its samples are given up into the ' +
  'record of refused samples; raise ha_max_clusters in the limits of the tenant (Cortex, Mimir), ' +
  'then replay them with `starferry refused replay --reason=ha_clusters_limit`';

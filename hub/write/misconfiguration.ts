/** What an operator should look at when the destination answers with `status`. */
export function misconfigurationAdvice(status: number): string {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return 'credentials under destination, destination.tenant_header, the tenants of the agent';
    case 404:
    case 405:
      return 'the path in destination.url: Cortex takes writes at /api/v1/push';
    case 415:
      return 'destination.url: what answers there does not take remote write 1.0';
    case 400:
      return 'the limits of the tenant at the destination, such as its number of HA clusters';
    default:
      return 'destination.url: a redirect is not followed';
  }
}

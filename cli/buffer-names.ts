import { DEFAULT_TENANT } from '../agent/discard-request.ts';
import { formatTime } from '../base/units.ts';

export { DEFAULT_TENANT };

export function tenantName(tenant: string): string {
  return tenant === '' ? DEFAULT_TENANT : tenant;
}

/** A tenant without samples has no times. */
export function timeOrDash(ms: number): string {
  return Number.isFinite(ms) ? formatTime(ms) : '-';
}

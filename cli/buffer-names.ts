import { formatTime } from '../base/units.ts';

/** The default tenant has no name; no tenant can have this one. */
export const DEFAULT_TENANT = '@default';

export function tenantName(tenant: string): string {
  return tenant === '' ? DEFAULT_TENANT : tenant;
}

/** A tenant without samples has no times. */
export function timeOrDash(ms: number): string {
  return Number.isFinite(ms) ? formatTime(ms) : '-';
}

/** The default tenant has no name; no tenant can have this one. */
export const DEFAULT_TENANT = '@default';

export function tenantName(tenant: string): string {
  return tenant === '' ? DEFAULT_TENANT : tenant;
}

/** Timestamps may lie outside what a Date can hold; a tenant without samples has none. */
export function isoTime(ms: number): string {
  if (!Number.isFinite(ms)) return '-';
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}

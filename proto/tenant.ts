const RESERVED_NAMES = new Set(['.', '..', '__markers__']);

/** What a tenant looks like, for error messages. */
export const TENANT_FORM = "1 to 150 of a-z A-Z 0-9 ! - _ . * ' ( ), not . or .. or __markers__";

/**
 * Whether Cortex takes `tenant` in X-Scope-OrgID: it answers every write of another one with an
 * error, and names of several tenants joined by `|` are for queries only.
 */
export function isTenant(tenant: string): boolean {
  return /^[a-zA-Z0-9!\-_.*'()]{1,150}$/.test(tenant) && !RESERVED_NAMES.has(tenant);
}

import { z } from 'zod';

/** Cortex keeps files of its own beside the folders of tenants, under these names. */
const RESERVED_NAMES = new Set(['.', '..', '__markers__', 'user-index.json.gz']);

/** What a tenant looks like, for error messages. */
export const TENANT_FORM =
  "1 to 150 of a-z A-Z 0-9 ! - _ . * ' ( ), not . or .. or __markers__ or user-index.json.gz";

/**
 * Whether Cortex takes `tenant` in X-Scope-OrgID: it answers every write of another one with an
 * error, and names of several tenants joined by `|` are for queries only.
 */
export function isTenant(tenant: string): boolean {
  return /^[a-zA-Z0-9!\-_.*'()]{1,150}$/.test(tenant) && !RESERVED_NAMES.has(tenant);
}

/** A tenant in a configuration file; a number in YAML is not text, since 007 would become 7. */
export const tenantName = () =>
  z
    .string({ error: `${TENANT_FORM} (in quotes if it consists of digits)` })
    .refine(isTenant, { error: TENANT_FORM })
    .meta({ type: 'text', limits: TENANT_FORM });

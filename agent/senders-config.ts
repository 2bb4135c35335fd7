import { z } from 'zod';
import { digestOf } from '../base/secret-digest.ts';
import { list, passwordFile, section, text, tokenFile } from '../base/settings.ts';
import { isTenant, TENANT_FORM, tenantName } from '../proto/tenant.ts';

/** Who may send remote writes, and into which tenant they go. */
export interface SendersConfig {
  /** Of requests without X-Scope-OrgID; empty: the first tenant the hub knows for this agent. */
  defaultTenant: string;
  /** Empty: nobody has to prove anything. */
  users: SenderUser[];
  /** Everything goes into this one; empty: no. */
  forceTenant: string;
  /** What other name a tenant has behind the agent. */
  tenantMap: ReadonlyMap<string, string>;
}

export interface SenderUser {
  name: string;
  /** With Basic the name counts as well as the password, with Bearer the token alone. */
  scheme: 'basic' | 'bearer';
  /** Of the password or token, which themselves go nowhere. */
  digest: Uint8Array;
  /** What it may write into; the first is its default. */
  tenants: string[];
}

const userSection = (folder: string) =>
  section({
    name: text('1 to 64 visible ASCII characters without a colon', /^[!-9;-~]{1,64}$/).describe(
      'The user of Basic authentication, or a name for the log of who sends the token.',
    ),
    password_file: passwordFile(folder)
      .optional()
      .describe('File with the password of Basic authentication; this or `token_file`.'),
    token_file: tokenFile(folder)
      .optional()
      .describe('File with the token of Bearer authentication, unlike that of any other user.'),
    tenants: list(tenantName(), { min: 1 }).describe(
      'The tenants it may write into; the first is that of requests without X-Scope-OrgID.',
    ),
  }).superRefine((user, context) => {
    if ((user.password_file === undefined) !== (user.token_file === undefined)) return;
    const message = 'either this or token_file';
    context.addIssue({ code: 'custom', path: ['password_file'], message });
  });

const tenantMap = () =>
  z
    .record(z.string(), tenantName(), { error: 'tenants and the names they are to have' })
    .superRefine((names, context) => {
      for (const name of Object.keys(names).filter((name) => !isTenant(name))) {
        const message = `the name on the left to be ${TENANT_FORM}`;
        context.addIssue({ code: 'custom', path: [name], message });
      }
    })
    .meta({ type: 'tenant: tenant', limits: TENANT_FORM });

/** The keys of `ingest` that say who sends and where to. */
export const senderKeys = (folder: string) => ({
  default_tenant: tenantName()
    .optional()
    .describe(
      'Tenant of requests without X-Scope-OrgID where there are no `users`. Absent: the first ' +
        'tenant the hub lists for this agent.',
    ),
  users: list(userSection(folder), { min: 0 })
    .prefault([])
    .describe('Who may send. With any of them, every request must prove to come from one.'),
  tenant_map: tenantMap()
    .optional()
    .describe('Names of tenants and the names they are to have; others are kept.'),
  force_tenant: tenantName()
    .optional()
    .describe('Everything goes into this tenant, whichever one a request names.'),
});

type SendersFile = z.infer<z.ZodObject<ReturnType<typeof senderKeys>>>;

/** What is wrong with keys that are well each by itself. */
export function checkSenders(file: SendersFile, context: z.core.$RefinementCtx): void {
  if (file.force_tenant !== undefined && Object.keys(file.tenant_map ?? {}).length > 0) {
    const message = 'nothing beside ingest.tenant_map: names are either mapped or forced';
    context.addIssue({ code: 'custom', path: ['force_tenant'], message });
  }
  const names = new Set<string>();
  const owners = new Map<string, string>();
  file.users.forEach(({ name, token_file: token }, index) => {
    if (names.has(name)) {
      const path = ['users', index, 'name'];
      context.addIssue({ code: 'custom', path, message: 'a name that no other user has' });
    }
    names.add(name);
    if (token === undefined) return;
    const owner = owners.get(token);
    if (owner !== undefined) {
      const message = `a token of its own: ${owner} has the same`;
      context.addIssue({ code: 'custom', path: ['users', index, 'token_file'], message });
    }
    owners.set(token, name);
  });
}

export function toSenders(file: SendersFile): SendersConfig {
  return {
    defaultTenant: file.default_tenant ?? '',
    users: file.users.map(({ name, password_file: password, token_file: token, tenants }) => ({
      name,
      scheme: token === undefined ? 'basic' : 'bearer',
      digest: digestOf(token ?? password ?? ''),
      tenants,
    })),
    forceTenant: file.force_tenant ?? '',
    tenantMap: new Map(Object.entries(file.tenant_map ?? {})),
  };
}

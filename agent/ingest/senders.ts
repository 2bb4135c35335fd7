import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { BoundedLog } from '../../base/log.ts';
import { digestOf, isSecret } from '../../base/secret-digest.ts';
import { isTenant, TENANT_FORM } from '../../proto/tenant.ts';
import type { SendersConfig, SenderUser } from '../senders-config.ts';

/** The tenant that a request writes into (empty: the hub's default), or the answer it gets. */
export type Admission =
  | { kind: 'admitted'; tenant: string }
  | { kind: 'refused'; status: number; text: string; headers?: OutgoingHttpHeaders };

const HEADER = 'X-Scope-OrgID';
const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="starferry"' };
const SHOWN_LENGTH_MAX = 60;

/**
 * Decides by the headers of a request who sends it and which tenant it goes into: the sender is
 * judged by the tenant it names, which is renamed or replaced afterwards.
 */
export class Senders {
  readonly config: SendersConfig;
  readonly #names: ReadonlyMap<string, SenderUser>;
  readonly #tokens: readonly SenderUser[];
  readonly #log: BoundedLog;

  constructor(config: SendersConfig, log: BoundedLog) {
    this.config = config;
    const passwords = config.users.filter(({ scheme }) => scheme === 'basic');
    this.#names = new Map(passwords.map((user) => [user.name, user]));
    this.#tokens = config.users.filter(({ scheme }) => scheme === 'bearer');
    this.#log = log;
  }

  /** Every refusal makes the sender drop the batch, so the log names it as well. */
  admit(request: IncomingMessage): Admission {
    const admission = this.#judge(request);
    if (admission.kind === 'refused') {
      const { status, text } = admission;
      const from = request.socket.remoteAddress;
      this.#log.warn(`sender ${status}`, { from, status, answer: text }, 'a sender is refused');
    }
    return admission;
  }

  #judge({ headers, headersDistinct }: IncomingMessage): Admission {
    const { users, defaultTenant } = this.config;
    const user = this.#authenticate(headers.authorization);
    if (users.length > 0 && user === undefined) {
      // Not which part was wrong: that would tell a stranger which names there are.
      const text = 'a known user and its password, or a known token, is required';
      return { kind: 'refused', status: 401, text, headers: CHALLENGE };
    }
    const [named = '', ...more] = headersDistinct['x-scope-orgid'] ?? [];
    if (more.length > 0) return badTenant(`given ${more.length + 1} times: a write goes into one`);
    // Cortex takes an empty header for none, too.
    if (named === '') return this.#admitted(user?.tenants[0] ?? defaultTenant);
    if (!isTenant(named)) return badTenant(whatIsWrong(named));
    if (user?.tenants.includes(named) === false) {
      const text = `${HEADER}: user ${user.name} may not write into tenant ${named}`;
      return { kind: 'refused', status: 403, text };
    }
    return this.#admitted(named);
  }

  #admitted(tenant: string): Admission {
    const { forceTenant, tenantMap } = this.config;
    if (forceTenant !== '') return { kind: 'admitted', tenant: forceTenant };
    return { kind: 'admitted', tenant: tenantMap.get(tenant) ?? tenant };
  }

  #authenticate(authorization = ''): SenderUser | undefined {
    const [, scheme = '', secret = ''] = /^(\S+) +(\S+)$/.exec(authorization) ?? [];
    switch (scheme.toLowerCase()) {
      case 'basic':
        return this.#byPassword(Buffer.from(secret, 'base64').toString('utf8'));
      case 'bearer':
        return this.#byToken(secret);
      default:
        return undefined;
    }
  }

  #byPassword(credentials: string): SenderUser | undefined {
    const colon = credentials.indexOf(':');
    if (colon < 0) return undefined;
    const user = this.#names.get(credentials.slice(0, colon));
    // An unknown name takes as long as a wrong password.
    const isRight = isSecret(credentials.slice(colon + 1), user?.digest ?? NOBODY);
    return isRight ? user : undefined;
  }

  /** Looks at all of them, wherever the right one stands. */
  #byToken(token: string): SenderUser | undefined {
    return this.#tokens.filter(({ digest }) => isSecret(token, digest))[0];
  }
}

const NOBODY = digestOf('');

function badTenant(problem: string): Admission {
  return { kind: 'refused', status: 400, text: `${HEADER}: ${problem}` };
}

function whatIsWrong(named: string): string {
  if (named.includes('|')) {
    return `${shown(named)} names several tenants, which is for queries: a write goes into one`;
  }
  return `${shown(named)} is not a tenant: expected ${TENANT_FORM}`;
}

/** As a log or an answer may show it, whatever a stranger has sent. */
function shown(value: string): string {
  const short = value.length > SHOWN_LENGTH_MAX ? `${value.slice(0, SHOWN_LENGTH_MAX)}…` : value;
  return `"${short.replace(/[^\x20-\x7e…]/g, '?')}"`;
}

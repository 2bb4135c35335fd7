import { digestOf, isSecret } from '../base/secret-digest.ts';

/** An agent that may speak: its name and what it may write into. */
export interface RegisteredAgent {
  id: string;
  /** Empty: it sends none. */
  token: string;
  /** At least one; the first is its default. */
  tenants: string[];
}

/** Why nobody is known by the credentials of a request; values of a metric's label. */
export type CredentialFault = 'missing' | 'unreadable' | 'unknown_agent' | 'wrong_token';

export type Authentication =
  | { kind: 'known'; agent: RegisteredAgent }
  /** `agent`: the id that was named, if it is one of the configuration. */
  | { kind: 'refused'; fault: CredentialFault; agent: string | undefined };

/** Judges the credentials of agents: Basic, the agent's id as the user and its token. */
export class Agents {
  readonly #agents: ReadonlyMap<string, RegisteredAgent>;

  constructor(agents: readonly RegisteredAgent[]) {
    this.#agents = new Map(agents.map((agent) => [agent.id, agent]));
  }

  /** Who an Authorization header proves to be, or why it proves nobody. */
  authenticate(authorization: string | undefined): Authentication {
    if (authorization === undefined) return refused('missing');
    const encoded = /^Basic ([A-Za-z0-9+/=]{1,2048})$/i.exec(authorization)?.[1];
    if (encoded === undefined) return refused('unreadable');
    const credentials = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = credentials.indexOf(':');
    if (colon < 0) return refused('unreadable');
    const agent = this.#agents.get(credentials.slice(0, colon));
    // An unknown id takes as long as a wrong token.
    const isRight = isSecret(credentials.slice(colon + 1), digestOf(agent?.token ?? ''));
    if (agent === undefined) return refused('unknown_agent');
    return isRight ? { kind: 'known', agent } : refused('wrong_token', agent.id);
  }
}

/** An id that nobody has is not passed on: somebody may have written a token in its place. */
function refused(fault: CredentialFault, agent?: string): Authentication {
  return { kind: 'refused', fault, agent };
}

import { digestOf, isSecret } from '../base/secret-digest.ts';

/** An agent that may speak: its name and what it may write into. */
export interface RegisteredAgent {
  id: string;
  /** Empty: it sends none. */
  token: string;
  /** At least one; the first is its default. */
  tenants: string[];
}

/** Judges the credentials of agents: Basic, the agent's id as the user and its token. */
export class Agents {
  readonly #agents: ReadonlyMap<string, RegisteredAgent>;

  constructor(agents: readonly RegisteredAgent[]) {
    this.#agents = new Map(agents.map((agent) => [agent.id, agent]));
  }

  /** The agent that an Authorization header proves, or undefined: an unknown id or a wrong token. */
  authenticate(authorization: string | undefined): RegisteredAgent | undefined {
    const encoded = /^Basic ([A-Za-z0-9+/=]{1,2048})$/i.exec(authorization ?? '')?.[1];
    if (encoded === undefined) return undefined;
    const credentials = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = credentials.indexOf(':');
    if (colon < 0) return undefined;
    const agent = this.#agents.get(credentials.slice(0, colon));
    // An unknown id takes as long as a wrong token.
    const isRight = isSecret(credentials.slice(colon + 1), digestOf(agent?.token ?? ''));
    return isRight ? agent : undefined;
  }
}

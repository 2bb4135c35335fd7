import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { RefusalReason } from '../../proto/settlement.ts';
import type { RefusedRequest } from '../refused-request.ts';
import type { RequestBodies } from './request-bodies.ts';

/** Samples [from, to) of a request that met with one answer. */
export interface RefusedPart {
  from: number;
  to: number;
  reason: RefusalReason;
  message: string;
  /** How many of them are refused; which ones is not known unless it is all of them. */
  refused: number;
}

/** What was refused of one request. Memory only: bodies are made when it is over. */
export class RefusedParts {
  readonly #parts: RefusedPart[] = [];

  /** Guilty neighbours that a bisection has found one by one become one part again. */
  add({ from, to, reason, message, refused }: RefusedPart): void {
    const last = this.#parts.at(-1);
    const isNeighbour = last?.to === from && last.reason === reason;
    if (isNeighbour && last.refused === last.to - last.from && refused === to - from) {
      last.to = to;
      last.refused += refused;
    } else {
      this.#parts.push({ from, to, reason, message, refused });
    }
  }

  /** Each part with the body that holds its samples and no others. */
  requests(agent: string, request: OutgoingRequest, bodies: RequestBodies): RefusedRequest[] {
    return this.#parts.map(({ from, to, reason, message, refused }) => ({
      agent,
      tenant: request.tenant,
      reason,
      message,
      refused,
      unknown: to - from - refused,
      body: bodies.kept(request, from, to),
    }));
  }
}

import { messageGroup } from '../../proto/message-group.ts';
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

interface RefusedRows extends Pick<RefusedPart, 'reason' | 'message' | 'refused'> {
  rows: number[];
}

/** What was refused of one request. Memory only: bodies are made when it is over. */
export class RefusedParts {
  readonly #all: RefusedRows[] = [];
  /** Of what is refused to the last sample, by its kind. */
  readonly #byKind = new Map<string, RefusedRows>();

  /** Guilty samples that a search has found one by one become one record, a kind of refusal each. */
  add({ from, to, reason, message, refused }: RefusedPart): void {
    const rows = Array.from({ length: to - from }, (_, at) => from + at);
    const isWhole = refused === rows.length;
    const kind = `${reason} ${messageGroup(message)}`;
    const same = isWhole ? this.#byKind.get(kind) : undefined;
    if (same !== undefined) {
      same.rows.push(...rows);
      same.refused += refused;
      return;
    }
    const added = { rows, reason, message, refused };
    this.#all.push(added);
    if (isWhole) this.#byKind.set(kind, added);
  }

  /** Each part with the body that holds its samples and no others. */
  requests(agent: string, request: OutgoingRequest, bodies: RequestBodies): RefusedRequest[] {
    return this.#all.map(({ rows, reason, message, refused }) => ({
      agent,
      tenant: request.tenant,
      reason,
      message,
      refused,
      unknown: rows.length - refused,
      body: bodies.kept(request.select(Uint32Array.from(rows)), 0, rows.length),
    }));
  }
}

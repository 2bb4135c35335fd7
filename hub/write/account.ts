import type { BoundedLog } from '../../base/log.ts';
import { STORED_BEFORE } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import {
  addSettlement,
  emptySettlement,
  type RefusalReason,
  type Settlement,
} from '../../proto/settlement.ts';
import type { RefusedRequest } from '../refused-request.ts';
import { type RefusedPart, RefusedParts } from './refused-parts.ts';
import type { RequestBodies } from './request-bodies.ts';

export interface AccountTools {
  bodies: RequestBodies;
  /** Told of what a tenant takes, and of each refusal: some say how old samples may be. */
  ages: {
    taken(tenant: string, newestMs: number): void;
    refused(tenant: string, reason: RefusalReason, message: string): void;
  };
  log: BoundedLog;
}

/** Samples [from, to) of the request. */
export interface AccountedPart {
  from: number;
  to: number;
  /** Whether an earlier attempt may have stored some without our hearing of it. */
  mayBeStored: boolean;
}

export type Refusal = Pick<RefusedPart, 'reason' | 'message'>;

/** Messages of destinations in the log and in the record, in characters. */
const MESSAGE_LENGTH_MAX = 1024;

/** What has become of the samples of one request so far. */
export class Account {
  readonly settlement = emptySettlement();
  /** Newest timestamp that was taken or deduplicated; -∞: nothing. */
  newestMs = Number.NEGATIVE_INFINITY;
  readonly #refused = new RefusedParts();
  readonly #agent: string;
  readonly #request: OutgoingRequest;
  readonly #tools: AccountTools;

  constructor(agent: string, request: OutgoingRequest, tools: AccountTools) {
    this.#agent = agent;
    this.#request = request;
    this.#tools = tools;
  }

  /** What the record of refused samples is to keep. */
  refusedRequests(): RefusedRequest[] {
    return this.#refused.requests(this.#agent, this.#request, this.#tools.bodies);
  }

  /** All of the part is stored. Only now do its timestamps say how far the tenant has come. */
  accept({ from, to }: AccountedPart): void {
    const newestMs = newestOf(this.#request, from, to);
    this.settlement.accepted += to - from;
    this.newestMs = Math.max(this.newestMs, newestMs);
    this.#tools.ages.taken(this.#request.tenant, newestMs);
  }

  /**
   * Rows of the request are there from another replica.
   *
   * @param nowMs nobody has looked at the timestamps: none counts that is beyond the present
   */
  deduplicate(rows: readonly number[], nowMs: number): void {
    this.settlement.deduplicated += rows.length;
    for (const row of rows) {
      const newestMs = Math.min(newestOf(this.#request, row, row + 1), nowMs);
      this.newestMs = Math.max(this.newestMs, newestMs);
    }
  }

  /** Samples of this request were written as another one. */
  add(other: { settlement: Settlement; newestMs: number }): void {
    addSettlement(this.settlement, other.settlement);
    this.newestMs = Math.max(this.newestMs, other.newestMs);
  }

  /** All of the part is refused, or said before to have been stored. */
  settleRefused(part: AccountedPart, refusal: Refusal): void {
    const count = part.to - part.from;
    if (isEcho(part, refusal)) this.settlement.redelivered += count;
    else this.refuse(part, refusal, count);
  }

  /** The destination has counted what it has written of the part; the rest is refused. */
  settleCounted(part: AccountedPart, refusal: Refusal, written: number): void {
    const count = part.to - part.from;
    const refused = Math.min(Math.max(count - written, 1), count);
    if (isEcho(part, refusal)) this.settlement.redelivered += refused;
    else this.refuse(part, refusal, refused);
    this.settlement.accepted += count - refused;
    if (refused < count) this.newestMs = Math.max(this.newestMs, this.#newestBut(part, refused));
  }

  /**
   * One sample of the part is refused, and nothing is known of the others, also where the refusal is
   * the echo of an earlier attempt.
   */
  settleUnsearched(part: AccountedPart, refusal: Refusal): void {
    const count = part.to - part.from;
    const isOfBefore = isEcho(part, refusal);
    if (isOfBefore) this.settlement.redelivered++;
    this.refuse(part, refusal, isOfBefore ? 0 : 1, count - 1);
  }

  /**
   * A sample goes on without its exemplars. They were refused if one of them is the reason; else
   * nobody knows, since an exemplar may be stored without its sample.
   */
  leaveExemplars(entry: AccountedPart, refusal: Refusal): void {
    const exemplars = { ...entry, from: entry.from + 1 };
    const count = exemplars.to - exemplars.from;
    const refused = refusal.reason === 'exemplar' ? count : 0;
    this.refuse(exemplars, { ...refusal, reason: 'exemplar' }, refused, count - refused);
  }

  /** A timestamp that the newest stored one reaches, though nobody knows which were refused. */
  #newestBut({ from, to }: AccountedPart, refused: number): number {
    const times: number[] = [];
    for (let row = from; row < to; row++) {
      if (!this.#request.isExemplar(row)) times.push(this.#request.timestampOf(row));
    }
    return times.sort((one, other) => other - one)[refused] ?? Number.NEGATIVE_INFINITY;
  }

  /** Gives samples up for good: counted, logged and kept, with others of the part. */
  refuse(part: AccountedPart, { reason, message }: Refusal, refused: number, unknown = 0): void {
    const { settlement } = this;
    const { tenant, count: samples } = this.#request;
    if (refused > 0)
      settlement.refused.set(reason, (settlement.refused.get(reason) ?? 0) + refused);
    settlement.unknown += unknown;
    this.#tools.ages.refused(tenant, reason, message);
    const answer = cut(message);
    this.#refused.add({ from: part.from, to: part.to, reason, message: answer, refused });
    const fields = { agent: this.#agent, tenant, samples, reason, refused, unknown, answer };
    this.#tools.log.warn(`refused ${reason}`, fields, givenUp(reason));
  }
}

/** Newest timestamp of samples [from, to), exemplars aside; -∞ of these alone. */
function newestOf(request: OutgoingRequest, from: number, to: number): number {
  let newest = Number.NEGATIVE_INFINITY;
  for (let row = from; row < to; row++) {
    const timestamp = request.timestampOf(row);
    if (timestamp > newest && !request.isExemplar(row)) newest = timestamp;
  }
  return newest;
}

/** After an attempt whose fate is unknown, these refusals say that it had been stored. */
export function isEcho({ mayBeStored }: AccountedPart, { reason }: Refusal): boolean {
  return mayBeStored && STORED_BEFORE.has(reason);
}

function givenUp(reason: RefusalReason): string {
  return reason === 'set_aside'
    ? 'set samples aside: the destination fails on them while it takes others'
    : 'the destination refused a sample for good';
}

export function cut(message: string): string {
  return message.slice(0, MESSAGE_LENGTH_MAX);
}

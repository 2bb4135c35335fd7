import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import {
  type Answer,
  type DestinationState,
  encodeAnswer,
  encodeHubState,
  type StateReason,
} from '../../proto/answer.ts';
import type { Settlement } from '../../proto/settlement.ts';
import type { AgentSession } from './agent-session.ts';
import type { KnownAgent, ReceiveMetrics } from './contracts.ts';
import type { SeriesCopy } from './dictionary-log.ts';
import { type Reply, textReply } from './reply.ts';

const BUSY_RETRY_MAX_SECONDS = 5;

export interface ReplyTools {
  clock: Clock;
  random: Random;
  metrics: ReceiveMetrics;
  log: BoundedLog;
}

/** Makes the replies to what agents send, and counts those that somebody should hear of. */
export class ReplyMaker {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #metrics: ReceiveMetrics;
  readonly #log: BoundedLog;

  constructor(tools: ReplyTools) {
    this.#clock = tools.clock;
    this.#random = tools.random;
    this.#metrics = tools.metrics;
    this.#log = tools.log;
  }

  /**
   * 200: the destination has answered for every sample. `more`: the hub's id, which a stream does
   * not know yet; the oldest timestamp that the tenant takes; how the destination does.
   */
  answered(
    dictionaryOffset: number,
    settlement: Settlement,
    more: {
      hub?: bigint | undefined;
      oldestAcceptedMs?: number | undefined;
      destination?: DestinationState | undefined;
    },
  ): { answer: Answer; reply: Reply } {
    const hubClockMs = this.#clock.now();
    const { hub, oldestAcceptedMs, destination } = more;
    const answer: Answer = {
      settlement,
      dictionaryOffset,
      hubClockMs,
      ...(hub === undefined ? {} : { hub }),
      ...(oldestAcceptedMs === undefined ? {} : { oldestAcceptedMs }),
      ...(destination === undefined ? {} : { destination }),
    };
    return { answer, reply: { status: 200, body: encodeAnswer(answer) } };
  }

  /** 409: the batch does not fit; with all that the hub holds of the agent. */
  mismatch<Copy extends SeriesCopy>(session: AgentSession<Copy>, reason: StateReason): Reply {
    this.#metrics.event(session.agent, reason);
    return { ...this.state(session, reason), status: 409 };
  }

  state<Copy extends SeriesCopy>(session: AgentSession<Copy>, reason: StateReason): Reply {
    return { status: 200, body: encodeHubState(session.state(reason, this.#clock.now())) };
  }

  /** 503, spread so that agents that were refused together do not return together. */
  busy(message: string): Reply {
    const retryAfterSeconds = 1 + Math.floor(this.#random.float() * BUSY_RETRY_MAX_SECONDS);
    return { ...textReply(503, message), retryAfterSeconds };
  }

  /** 403: the tenant is not one of the agent's, which keeps the samples. */
  forbidden({ id }: KnownAgent, tenant: string): Reply {
    this.#metrics.event(id, 'tenant not allowed');
    this.#metrics.offered(id, tenant);
    this.#log.error(
      `forbidden ${id}`,
      { agent: id, tenant },
      'an agent sends a tenant that is not among its own: add it to its tenants, or have the ' +
        'agent map it; the agent keeps the samples',
    );
    return textReply(403, `agent ${id} may not write into tenant ${tenant}`);
  }
}

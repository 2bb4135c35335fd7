import { Backoff } from '../../base/backoff.ts';
import type { HubState } from '../../proto/answer.ts';
import type { ShipTools } from './contracts.ts';
import type { HubReply } from './hub-client.ts';
import { countOne, momentOf } from './ship-stats.ts';

const BACKOFF = { minMs: 250, maxMs: 10_000 };
/** Attempts on a dead link cost nobody anything; frequent ones find soon that it is back. */
const SILENT_MS = 500;
/** A wrong token or URL does not mend by itself; asking again is only for the day it is mended. */
const MISCONFIGURED_RETRY_MS = 30_000;
/** Rarer, as the whole batch crosses each time, over a link that other tenants need. */
const FORBIDDEN_RETRY_MS = 300_000;

type ReplyTools = Omit<ShipTools, 'samples' | 'encoding' | 'link'>;

/** What every reply other than the answer to a batch of samples means; it keeps the backoff. */
export class Replies {
  readonly #tools: ReplyTools;
  readonly #tenant: string;
  readonly #backoff: Backoff;

  constructor(tools: ReplyTools, tenant: string) {
    this.#tools = tools;
    this.#tenant = tenant;
    this.#backoff = new Backoff(BACKOFF, tools.random);
  }

  /** A batch was answered: the next failure waits briefly again. */
  succeeded(): void {
    this.#backoff.reset();
  }

  /** The hub still works on what it has: asks again after a while. */
  async pause(signal: AbortSignal): Promise<void> {
    await this.#tools.clock.sleep(this.#backoff.next(), signal);
  }

  /**
   * Does what a reply asks for, waiting included. `again`: send the same bytes once more.
   * `reopen`: they do not fit any more; the samples must be encoded again for a new stream.
   */
  async settle(reply: HubReply, signal: AbortSignal): Promise<'again' | 'reopen'> {
    const { clock, session, stats } = this.#tools;
    if (signal.aborted) return 'reopen';
    countOne(stats.replies, reply.kind);
    switch (reply.kind) {
      case 'answer':
        this.#backoff.reset();
        return 'reopen';
      case 'state':
        await this.#takeOver(reply.state, signal);
        return 'reopen';
      case 'unreadable_format':
        session.adopt(reply.state);
        await this.pause(signal);
        return 'reopen';
      case 'too_large':
        this.#noteTrouble(reply);
        await this.pause(signal);
        return 'reopen';
      case 'busy':
        this.#noteTrouble(reply);
        await clock.sleep(this.#backoff.next(reply.retryAfterMs), signal);
        return 'again';
      case 'unreachable': {
        this.#noteTrouble(reply);
        const waitMs = this.#backoff.next();
        await clock.sleep(reply.isSilent === true ? Math.min(waitMs, SILENT_MS) : waitMs, signal);
        return 'again';
      }
      case 'unreadable':
        this.#noteTrouble(reply);
        this.#sayLoudly(
          'unreadable',
          { answer: reply.message },
          'the hub cannot read a batch: a damaged link or a bug; it is encoded and sent again',
        );
        await clock.sleep(this.#backoff.next(MISCONFIGURED_RETRY_MS), signal);
        return 'reopen';
      case 'forbidden':
        this.#noteTrouble(reply);
        this.#sayLoudly(
          `forbidden ${this.#tenant}`,
          { tenant: this.#tenant, answer: reply.message },
          'the hub, or a proxy before it, does not take this tenant from this agent: see what ' +
            'it answers, and add the tenant to those of the agent at the hub; its samples are ' +
            'kept, and other tenants go on',
        );
        await clock.sleep(this.#backoff.next(FORBIDDEN_RETRY_MS), signal);
        return 'again';
      case 'misconfigured':
        this.#noteTrouble(reply);
        this.#sayLoudly(
          'misconfigured',
          { answer: reply.message },
          'the hub refuses this agent: check hub.urls, agent_id, the token and the agents ' +
            'section of the hub; samples are kept',
        );
        await clock.sleep(this.#backoff.next(MISCONFIGURED_RETRY_MS), signal);
        return 'again';
    }
  }

  /** No samples format is known to both ends: waits for somebody to upgrade the hub. */
  async waitForFormat(signal: AbortSignal): Promise<void> {
    this.#sayLoudly(
      'format',
      {},
      'the hub reads none of our formats of samples: upgrade the hub; samples are kept',
    );
    await this.#tools.clock.sleep(this.#backoff.next(MISCONFIGURED_RETRY_MS), signal);
  }

  /** The batch does not fit what the hub holds: goes on from there. */
  async #takeOver(state: HubState, signal: AbortSignal): Promise<void> {
    const { clock, session, stats } = this.#tools;
    if (state.reason === 'positions') {
      // The backoff goes on: questions may pass where batches do not.
      session.adopt(state);
      return;
    }
    // `adopt` counts that one, where it looks at the two dictionaries itself.
    if (state.reason !== 'diverged') countOne(stats.events, state.reason);
    switch (state.reason) {
      case 'duplicate agent':
        // Not adopted: what that hub holds of this id belongs to the other agent.
        this.#sayLoudly(
          'duplicate agent',
          { other: state.currentAddress, otherRun: state.currentRun.toString(16) },
          'another agent has taken over this agent_id: give each agent its own agent_id and ' +
            'restart; samples are kept here until then',
        );
        await clock.sleep(this.#backoff.next(MISCONFIGURED_RETRY_MS), signal);
        return;
      case 'dictionary full':
        this.#sayLoudly(
          'dictionary full',
          {},
          'limits.max_series_per_agent of the hub is reached: raise it; samples are kept here',
        );
        await clock.sleep(this.#backoff.next(MISCONFIGURED_RETRY_MS), signal);
        break;
      default:
        // One mismatch mends itself at once; a chain of them must not become a storm.
        await this.pause(signal);
    }
    session.adopt(state);
  }

  #noteTrouble({ kind, message }: { kind: string; message: string }): void {
    const { stats, clock, log } = this.#tools;
    const { destination } = stats;
    const isHeld = destination !== undefined && destination !== 'taking';
    const what = isHeld ? `the destination of the hub does not take samples: ${destination}; ` : '';
    stats.lastTrouble = { ...momentOf(clock), message: what + message };
    if (kind !== 'busy' && kind !== 'unreachable') return;
    log.warn(
      kind,
      isHeld ? { answer: message, destination } : { answer: message },
      isHeld
        ? 'the hub is there, but its destination does not take samples: samples are kept'
        : 'no answer of the hub yet: samples are kept',
    );
  }

  #sayLoudly(key: string, fields: object, message: string): void {
    const { stats, clock, log } = this.#tools;
    stats.lastTrouble = { ...momentOf(clock), message };
    log.error(key, fields, message);
  }
}

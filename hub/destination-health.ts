import type { Clock } from '../base/clock.ts';
import type { DestinationState } from '../proto/answer.ts';
import { type DestinationKind, judgeAnswer } from '../proto/outcome.ts';
import type { Post, PostRequest, PostResult } from './write/post.ts';

/** A destination that fails on one request takes others: it is well so long after it took one. */
const WELL_MS = 15_000;
/** Whatever is held is tried again sooner: an older failure is over, or nobody waits for it. */
const FAILURE_MS = 300_000;

interface TenantHealth {
  takenAtMs: number;
  failure: { state: DestinationState; atMs: number } | undefined;
}

/**
 * How the destination does for each tenant, told from what became of the requests: for the agents,
 * whose batches have no answer as long as the destination takes nothing.
 */
export class DestinationHealth {
  readonly #kind: DestinationKind;
  readonly #clock: Clock;
  /** By tenant as the destination names it; agents name none but those of the configuration. */
  readonly #tenants = new Map<string, TenantHealth>();

  constructor(kind: DestinationKind, clock: Clock) {
    this.#kind = kind;
    this.#clock = clock;
  }

  /** Looks at what becomes of the requests that go through `post`. */
  watch(post: Post): Post {
    return async (request) => {
      const result = await post(request);
      // What was given up here says nothing of the other end.
      if (!request.signal.aborted) this.#note(request, result);
      return result;
    };
  }

  /** The worst of some tenants; undefined while nothing was sent for any of them. */
  of(tenants: Iterable<string>): DestinationState | undefined {
    let state: DestinationState | undefined;
    for (const tenant of tenants) {
      const found = this.#stateOf(tenant);
      if (found !== undefined && found !== 'taking') return found;
      state ??= found;
    }
    return state;
  }

  #stateOf(tenant: string): DestinationState | undefined {
    const health = this.#tenants.get(tenant);
    if (health === undefined) return undefined;
    const { takenAtMs, failure } = health;
    if (failure === undefined) return 'taking';
    const isOver = this.#clock.elapsedMs() - failure.atMs > FAILURE_MS;
    return isOver || failure.atMs - takenAtMs < WELL_MS ? 'taking' : failure.state;
  }

  #note(request: PostRequest, result: PostResult): void {
    const state = this.#judge(request, result);
    const atMs = this.#clock.elapsedMs();
    const { tenant } = request;
    const takenAtMs = this.#tenants.get(tenant)?.takenAtMs ?? Number.NEGATIVE_INFINITY;
    if (state === 'taking') this.#tenants.set(tenant, { takenAtMs: atMs, failure: undefined });
    else this.#tenants.set(tenant, { takenAtMs, failure: { state, atMs } });
  }

  /** A refused sample is an answer like others: the destination is at work. */
  #judge({ protocol }: PostRequest, result: PostResult): DestinationState {
    if (result.kind === 'failed') return result.timedOut ? 'timeout' : 'unreachable';
    const outcome = judgeAnswer(this.#kind, protocol, { ...result, ...result.headers });
    if (outcome.kind === 'misconfigured') return 'refusing';
    return outcome.kind === 'retry' ? 'unavailable' : 'taking';
  }
}

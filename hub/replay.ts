import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { type DestinationKind, judgeAnswer } from '../proto/outcome.ts';
import type { WriteProtocol } from '../proto/remote-write/write-encoder.ts';
import type { Settlement } from '../proto/settlement.ts';
import { describeRequest } from './refused/description.ts';
import { outgoingAgain } from './refused/outgoing-again.ts';
import type { KeptRequest, RefusedRequest } from './refused-request.ts';
import type { RefusedStore } from './store/refused-store.ts';
import { createDelivery } from './write/delivery.ts';
import { messageOf, type Post, type PostResult } from './write/post.ts';
import type { RefusalSearch } from './write/refusal-search.ts';
import { ReplicaCover } from './write/replica-cover.ts';
import { RequestBodies } from './write/request-bodies.ts';
import { SetAside } from './write/set-aside.ts';

export interface ReplayDeps {
  store: Pick<RefusedStore, 'get' | 'replace'>;
  kind: DestinationKind;
  protocol: WriteProtocol;
  post: Post;
  search: RefusalSearch;
  /** Whether the record stays as it is, whatever becomes of the samples. */
  keep: boolean;
  clock: Clock;
  random: Random;
}

/** What became of one kept request. */
export type ReplayResult =
  /** `refused`: what the destination has refused again. */
  | { kind: 'answered'; request: KeptRequest; settlement: Settlement; refused: RefusedRequest[] }
  /** `isAway`: the destination takes nothing, so that there is no use in going on. */
  | { kind: 'unanswered'; request: KeptRequest; message: string; isAway: boolean }
  /** The row does not agree with its checksum: it is not sent. */
  | { kind: 'damaged'; request: KeptRequest }
  /** Dropped from the record since it was chosen. */
  | { kind: 'gone' };

/** Attempts at a request that the destination fails on (500), and patience while it is away. */
const FAILURES_MAX = 5;
const AWAY_MAX_MS = 60_000;
const NO_ANSWER = { kind: 'retry', failed: false } as const;

/**
 * Sends a kept request to the destination again, with the retries, halves and judgement of any
 * other delivery. What was answered for leaves the record; what was refused again stays in it.
 */
export async function replay(id: number, deps: ReplayDeps): Promise<ReplayResult> {
  const request = deps.store.get(id);
  if (request === undefined) return { kind: 'gone' };
  if (!request.isIntact) return { kind: 'damaged', request };
  const attempts = new Attempts(deps);
  const refused: RefusedRequest[] = [];
  const { kind, protocol, clock, random, store } = deps;
  const deliver = createDelivery(request.agent, {
    kind,
    post: attempts.post,
    bodies: new RequestBodies(protocol),
    setAside: new SetAside(0, clock),
    search: deps.search,
    replicas: new ReplicaCover(0, clock),
    refused: { keep: async (requests) => void refused.push(...requests) },
    // Whoever replays what was too old knows that it is.
    ages: { taken: () => {}, refused: () => {} },
    clock,
    random,
    metrics: { request: () => {}, heldByMisconfiguration: () => {} },
    log: { warn: () => {}, error: () => {} },
  });
  const { signal } = attempts.giveUp;
  const result = await deliver(outgoingAgain(request), { cancel: signal, end: signal });
  if (result.kind === 'cancelled') {
    const { message, isAway } = attempts;
    return { kind: 'unanswered', request, message, isAway };
  }
  const { settlement } = result;
  // Redelivered is a guess, and a good one only where nothing had been refused before. What was
  // turned away for another replica may be of times that nobody has written.
  const isOver = settlement.redelivered === 0 && settlement.deduplicated === 0;
  if (!deps.keep && isOver) {
    store.replace(
      id,
      refused.map((rest) => describeRequest(rest, request.recordedAtMs)),
    );
  }
  return { kind: 'answered', request, settlement, refused };
}

/** The attempts at one request, and when there have been enough of them. */
class Attempts {
  readonly giveUp = new AbortController();
  /** What was said last by a destination that did not take the request. */
  message = '';
  isAway = false;
  readonly #deps: ReplayDeps;
  #failures = 0;
  #failingSinceMs: number | undefined;

  constructor(deps: ReplayDeps) {
    this.#deps = deps;
  }

  readonly post: Post = async (request) => {
    const result = await this.#deps.post(request);
    this.#look(result);
    return result;
  };

  #look(result: PostResult): void {
    const { kind, protocol, clock } = this.#deps;
    const outcome =
      result.kind === 'answer'
        ? judgeAnswer(kind, protocol, { ...result, ...result.headers })
        : NO_ANSWER;
    if (outcome.kind !== 'retry' && outcome.kind !== 'misconfigured') {
      this.#failures = 0;
      this.#failingSinceMs = undefined;
      return;
    }
    this.message = messageOf(result);
    this.isAway = outcome.kind === 'misconfigured' || !outcome.failed;
    this.#failures++;
    this.#failingSinceMs ??= clock.elapsedMs();
    const isAwayForLong = clock.elapsedMs() - this.#failingSinceMs >= AWAY_MAX_MS;
    const isEnough = this.isAway ? isAwayForLong : this.#failures >= FAILURES_MAX;
    if (isEnough || outcome.kind === 'misconfigured') this.giveUp.abort();
  }
}

import type { Post, PostRequest, PostResult } from '../../hub/write/post.ts';
import type { Chance } from './chance.ts';
import { CortexMemory } from './cortex-memory.ts';
import { type ArrivedBody, CheckedMemory, type Memory } from './memory.ts';
import type { Blockade, DestinationFaults } from './plan.ts';
import { destinationTenant, STARTS_AT_MS, type Surroundings } from './surroundings.ts';

const TIMEOUT_MS = 10_000;
const LATENCY_MS_MAX = 100;
const SLOW_MS_MAX = 9000;

type Fate = keyof DestinationFaults | 'as usual';

/** The destination behind all hubs: it stores at once, and answers as badly as the plan allows. */
export class FaultyDestination {
  readonly memory: Memory;
  /** Answers nothing but 503. */
  isDown = false;
  #blockade: Blockade | undefined;
  readonly #surroundings: Surroundings;
  readonly #chance: Chance;
  readonly #cortex: CortexMemory | undefined;

  constructor(surroundings: Surroundings) {
    const { destination } = surroundings.plan;
    this.#surroundings = surroundings;
    this.#chance = surroundings.chance.part('destination');
    const now = (): number => STARTS_AT_MS + surroundings.time.elapsedMs;
    if (destination.semantics === 'cortex') this.#cortex = new CortexMemory(destination, now);
    this.memory = this.#cortex ?? new CheckedMemory(destination);
  }

  /** What is refused at present, whoever sends it. */
  get blockade(): Blockade | undefined {
    return this.#blockade;
  }

  /** Refuses everything of one tenant, or all but one of its clusters; undefined: no more. */
  block(blockade: Blockade | undefined): void {
    const { tenant, how } = blockade ?? this.#blockade ?? {};
    this.#blockade = blockade;
    if (tenant === undefined || how !== 'clusters') return;
    const haMaxClusters = blockade === undefined ? 0 : 1;
    this.#cortex?.rules.setLimits(destinationTenant(tenant), { haMaxClusters });
  }

  /** Others write to the tenants, up to so far ahead of now: what is an hour older is refused. */
  moveHeads(aheadMs: number): void {
    const { plan, time } = this.#surroundings;
    for (const tenant of plan.tenants.map(destinationTenant)) {
      this.#cortex?.rules.moveHead(tenant, Math.round(STARTS_AT_MS + time.elapsedMs + aheadMs));
    }
  }

  /**
   * A request that its hub gives up may have arrived or not, but it does not arrive later: no hub
   * could do anything about that.
   */
  readonly post: Post = async (request) => {
    const { time } = this.#surroundings;
    const body = this.memory.open(request.tenant, request.body);
    const fate = this.#drawFate();
    const slowMs = fate === 'slow' ? this.#chance.between(0, SLOW_MS_MAX) : 0;
    await time.sleep(slowMs + this.#chance.between(1, LATENCY_MS_MAX), request.signal);
    if (request.signal.aborted) {
      if (this.#chance.maybe(0.5)) this.#take(request, body);
      return failed('given up', false);
    }
    const refusal = this.#blocked(request.tenant);
    const result = refusal ?? (await this.#answer(request, body, fate));
    await time.sleep(this.#chance.between(1, LATENCY_MS_MAX), request.signal);
    return request.signal.aborted ? failed('given up', false) : result;
  };

  async #answer(request: PostRequest, body: ArrivedBody, fate: Fate): Promise<PostResult> {
    const { time } = this.#surroundings;
    if (fate !== 'as usual') this.#surroundings.note(`destination ${fate}`);
    switch (fate) {
      case 'busy':
        return answer(this.#chance.pick([503, 429]), 'slow down', this.#chance.maybe(0.3));
      case 'misconfigured':
        return answer(401, 'no org id');
      case 'failing':
        this.#takeSome(request, body);
        return answer(500, 'an ingester is gone');
      case 'timeout':
        if (this.#chance.maybe(0.5)) this.#take(request, body);
        await time.sleep(TIMEOUT_MS, request.signal);
        return failed('no answer in time', true);
      case 'broken':
        if (this.#chance.maybe(0.3)) return { ...failed('refused', false), mayHaveArrived: false };
        if (this.#chance.maybe(0.5)) this.#take(request, body);
        return failed('connection reset', false);
      case 'slow':
      case 'as usual':
        return this.#answerAsUsual(request, body);
    }
  }

  #answerAsUsual(request: PostRequest, body: ArrivedBody): PostResult {
    const { samplesPerBodyMax } = this.#surroundings.plan.destination;
    if (body.samples > samplesPerBodyMax) return answer(413, 'too large');
    const { status, message } = this.#take(request, body);
    return answer(status, message);
  }

  #take(
    { tenant }: PostRequest,
    body: ArrivedBody,
    entries?: number,
  ): ReturnType<ArrivedBody['take']> {
    const taken = body.take(entries);
    this.#surroundings.note(
      `destination takes ${body.samples} of ${tenant}: ${taken.message || 'all stored'}`,
    );
    return taken;
  }

  /** What is stored when some of the machines behind the destination fail. */
  #takeSome(request: PostRequest, body: ArrivedBody): void {
    const isAtomic = this.#surroundings.plan.destination.semantics === 'prometheus';
    if (!isAtomic) this.#take(request, body, this.#chance.whole(0, body.entries));
    else if (this.#chance.maybe(0.5)) this.#take(request, body);
  }

  /** What a tenant is told that may not write; nothing is stored. */
  #blocked(tenant: string): PostResult | undefined {
    const { blockade } = this;
    if (blockade === undefined || destinationTenant(blockade.tenant) !== tenant) return undefined;
    switch (blockade.how) {
      case 'rate':
        return answer(429, 'ingestion rate limit (0) exceeded while adding 1 samples');
      case 'credentials':
        return answer(401, 'no org id');
      case 'forbidden':
        return answer(403, 'forbidden');
      case 'clusters':
        return undefined;
    }
  }

  #drawFate(): Fate {
    const { isCalm, plan } = this.#surroundings;
    if (isCalm) return 'as usual';
    if (this.isDown) return 'busy';
    for (const [fate, probability] of Object.entries(plan.destination.faults)) {
      if (this.#chance.maybe(probability)) return fate as Fate;
    }
    return 'as usual';
  }
}

function answer(status: number, body: string, retryLater = false): PostResult {
  return { kind: 'answer', status, headers: retryLater ? { retryAfter: '2' } : {}, body };
}

function failed(message: string, timedOut: boolean): Extract<PostResult, { kind: 'failed' }> {
  return { kind: 'failed', message, timedOut, mayHaveArrived: true };
}

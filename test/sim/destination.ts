import type { Post, PostRequest, PostResult } from '../../hub/write/post.ts';
import { CheckedSamples } from '../tools/checked-samples.ts';
import { decodeWithObjects, type ExactSeries } from '../tools/exact-remote-write.ts';
import type { Chance } from './chance.ts';
import { asSamples } from './numbered-objects.ts';
import type { DestinationFaults } from './plan.ts';
import type { Surroundings } from './surroundings.ts';

const TIMEOUT_MS = 10_000;
const LATENCY_MS_MAX = 100;
const SLOW_MS_MAX = 9000;
const LOW_HALF = 0xffffffffn;

type Fate = keyof DestinationFaults | 'as usual';

/** The destination behind all hubs: it stores at once, and answers as badly as the plan allows. */
export class FaultyDestination {
  readonly samples: CheckedSamples;
  /** Answers nothing but 503. */
  isDown = false;
  readonly #surroundings: Surroundings;
  readonly #chance: Chance;

  constructor(surroundings: Surroundings) {
    const { semantics, refusedEvery } = surroundings.plan.destination;
    this.#surroundings = surroundings;
    this.#chance = surroundings.chance.part('destination');
    this.samples = new CheckedSamples(semantics, (_tenant, _series, { bits }) =>
      refusedEvery > 0 && isRefused(Number(bits & LOW_HALF), refusedEvery)
        ? 'per-user series limit of 5 exceeded'
        : undefined,
    );
  }

  /**
   * A request that its hub gives up may have arrived or not, but it does not arrive later: no hub
   * could do anything about that.
   */
  readonly post: Post = async (request) => {
    const { time } = this.#surroundings;
    const series = asSamples(decodeWithObjects(request.body));
    const fate = this.#drawFate();
    const slowMs = fate === 'slow' ? this.#chance.between(0, SLOW_MS_MAX) : 0;
    await time.sleep(slowMs + this.#chance.between(1, LATENCY_MS_MAX), request.signal);
    if (request.signal.aborted) {
      if (this.#chance.maybe(0.5)) this.#take(request, series);
      return failed('given up', false);
    }
    const result = await this.#answer(request, series, fate);
    await time.sleep(this.#chance.between(1, LATENCY_MS_MAX), request.signal);
    return request.signal.aborted ? failed('given up', false) : result;
  };

  async #answer(request: PostRequest, series: ExactSeries[], fate: Fate): Promise<PostResult> {
    const { time } = this.#surroundings;
    if (fate !== 'as usual') this.#surroundings.note(`destination ${fate}`);
    switch (fate) {
      case 'busy':
        return answer(this.#chance.pick([503, 429]), 'slow down', this.#chance.maybe(0.3));
      case 'misconfigured':
        return answer(401, 'no org id');
      case 'failing':
        this.#takeSome(request, series);
        return answer(500, 'an ingester is gone');
      case 'timeout':
        if (this.#chance.maybe(0.5)) this.#take(request, series);
        await time.sleep(TIMEOUT_MS, request.signal);
        return failed('no answer in time', true);
      case 'broken':
        if (this.#chance.maybe(0.3)) return { ...failed('refused', false), mayHaveArrived: false };
        if (this.#chance.maybe(0.5)) this.#take(request, series);
        return failed('connection reset', false);
      case 'slow':
      case 'as usual':
        return this.#answerAsUsual(request, series);
    }
  }

  #answerAsUsual(request: PostRequest, series: ExactSeries[]): PostResult {
    const { samplesPerBodyMax } = this.#surroundings.plan.destination;
    const count = series.reduce((sum, { samples }) => sum + samples.length, 0);
    if (count > samplesPerBodyMax) return answer(413, 'too large');
    const refusal = this.#take(request, series);
    return refusal === undefined ? answer(200, '') : answer(400, refusal);
  }

  #take({ tenant }: PostRequest, series: ExactSeries[]): string | undefined {
    const count = series.reduce((sum, { samples }) => sum + samples.length, 0);
    const refusal = this.samples.take(tenant, series);
    this.#surroundings.note(`destination takes ${count} of ${tenant}: ${refusal ?? 'all stored'}`);
    return refusal;
  }

  /** What is stored when some of the machines behind the destination fail. */
  #takeSome(request: PostRequest, series: ExactSeries[]): void {
    const isAtomic = this.#surroundings.plan.destination.semantics === 'prometheus';
    if (!isAtomic) this.#take(request, series.slice(0, this.#chance.whole(0, series.length)));
    else if (this.#chance.maybe(0.5)) this.#take(request, series);
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

/** Whether the destination refuses the sample with this number for good. */
export function isRefused(low: number, refusedEvery: number): boolean {
  return refusedEvery > 0 && low % refusedEvery === 0;
}

function answer(status: number, body: string, retryLater = false): PostResult {
  return { kind: 'answer', status, headers: retryLater ? { retryAfter: '2' } : {}, body };
}

function failed(message: string, timedOut: boolean): Extract<PostResult, { kind: 'failed' }> {
  return { kind: 'failed', message, timedOut, mayHaveArrived: true };
}

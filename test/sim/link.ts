import { type HubReply, readReply } from '../../agent/ship/hub-client.ts';
import { decodeBatch, encodeBatch } from '../../proto/batch.ts';
import { compressFrame, decompressFrame } from '../../proto/zstd.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import type { Chance } from './chance.ts';
import type { HubMachine } from './hub-machine.ts';
import type { LinkFaults } from './plan.ts';
import type { Surroundings } from './surroundings.ts';

/** How long the agent waits for an answer. */
const REQUEST_TIMEOUT_MS = 30_000;
const LATE_MS_MAX = 30_000;
const LATENCY_MS_MAX = 300;
const FRAME_BYTES_MAX = 2 ** 24;

type Fate = keyof LinkFaults | 'carried';

export interface LinkDeps {
  surroundings: Surroundings;
  chance: Chance;
  /** The hub that the next request reaches. */
  route(): HubMachine;
  /** Whether the link is down altogether. */
  isDown(): boolean;
  /** Whether the agent at this end has ended. */
  isDead(): boolean;
}

/** The border as one process of the agent sees it: requests take time, and all that can happen. */
export class FaultyLink extends UnmeasuredLink {
  readonly #deps: LinkDeps;

  constructor(deps: LinkDeps) {
    super();
    this.#deps = deps;
  }

  postBatch(frame: Uint8Array, signal: AbortSignal): Promise<HubReply> {
    return this.#exchange(frame, signal);
  }

  askPositions(signal: AbortSignal): Promise<HubReply> {
    return this.#exchange(undefined, signal);
  }

  /** @param frame undefined: the question for positions */
  async #exchange(frame: Uint8Array | undefined, signal: AbortSignal): Promise<HubReply> {
    const { surroundings, isDead } = this.#deps;
    if (signal.aborted || isDead()) return unreachable('given up');
    const { promise, resolve } = Promise.withResolvers<HubReply>();
    const over = new AbortController();
    const limit = AbortSignal.any([signal, over.signal]);
    surroundings.spawn(this.#carry(frame, resolve));
    surroundings.spawn(
      surroundings.time
        .sleep(REQUEST_TIMEOUT_MS, limit)
        .then(() => resolve(unreachable('no answer in time'))),
    );
    const reply = await promise;
    over.abort();
    return reply;
  }

  /** What becomes of one request; `answer` is not called when the connection is half open. */
  async #carry(frame: Uint8Array | undefined, answer: (reply: HubReply) => void): Promise<void> {
    const { surroundings, route, chance, isDown } = this.#deps;
    const { time } = surroundings;
    const hub = route();
    const fate = this.#drawFate();
    const reset = (): void => answer(unreachable('connection reset'));
    if (fate !== 'carried') surroundings.note(`link ${fate}`);
    if (isDown() || fate === 'lost' || fate === 'cut') {
      await time.sleep(this.#latencyMs());
      if (fate !== 'lost') reset();
      return;
    }
    if (fate === 'late') {
      await time.sleep(REQUEST_TIMEOUT_MS + chance.between(0, LATE_MS_MAX));
      await this.#deliver(hub, frame);
      return;
    }
    if (fate === 'twice') surroundings.spawn(this.#deliverAgain(hub, frame));
    if (fate === 'damaged' && frame !== undefined) {
      await this.#deliver(hub, damaged(frame, chance));
    }
    if (fate === 'proxied' && chance.maybe(0.5)) return answer(this.#proxyReply(frame));
    const reply = await this.#deliver(hub, frame);
    if (fate === 'proxied') return answer(this.#proxyReply(frame));
    if (fate === 'answerLost' && chance.maybe(0.5)) return;
    if (reply === undefined || fate === 'answerLost' || isDown()) return reset();
    answer(reply);
  }

  async #deliverAgain(hub: HubMachine, frame: Uint8Array | undefined): Promise<void> {
    await this.#deps.surroundings.time.sleep(this.#deps.chance.between(0, LATE_MS_MAX));
    await this.#deliver(hub, frame);
  }

  /** The hub's reply, or undefined when it is down, or was when it should have answered. */
  async #deliver(hub: HubMachine, frame: Uint8Array | undefined): Promise<HubReply | undefined> {
    const { time } = this.#deps.surroundings;
    await time.sleep(this.#latencyMs());
    const { process } = hub;
    if (process === undefined) return undefined;
    const reply = await (frame === undefined ? process.positions() : process.receive(frame));
    if (process.isDead) return undefined;
    await time.sleep(this.#latencyMs());
    const { status, body, retryAfterSeconds } = reply;
    return readReply(status, body, {
      question: frame === undefined,
      retryAfterMs: retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000,
    });
  }

  /** What something that speaks HTTP, and is not the hub, may answer. */
  #proxyReply(frame: Uint8Array | undefined): HubReply {
    const status = this.#deps.chance.pick([200, 502, 504, 404]);
    const body = status === 200 ? new Uint8Array(0) : Buffer.from('<html>oops</html>');
    return readReply(status, body, { question: frame === undefined, retryAfterMs: undefined });
  }

  #drawFate(): Fate {
    const { surroundings, chance } = this.#deps;
    if (surroundings.isCalm) return 'carried';
    for (const [fate, probability] of Object.entries(surroundings.plan.link)) {
      if (chance.maybe(probability)) return fate as Fate;
    }
    return 'carried';
  }

  #latencyMs(): number {
    return this.#deps.chance.between(1, LATENCY_MS_MAX);
  }
}

function unreachable(message: string): HubReply {
  return { kind: 'unreachable', message };
}

/** The batch with its samples section cut short, in a frame that is in order again. */
function damaged(frame: Uint8Array, chance: Chance): Uint8Array {
  const batch = decodeBatch(decompressFrame(frame, FRAME_BYTES_MAX));
  if (batch.lane !== 'live' && batch.lane !== 'pack') return frame;
  const samples = batch.samples.subarray(0, chance.whole(0, batch.samples.length - 1));
  return compressFrame(encodeBatch({ ...batch, samples }), 1);
}

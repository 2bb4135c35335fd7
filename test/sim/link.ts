import type { Kind, Suspicion } from '../../agent/ship/exchange.ts';
import { type HubLink, type HubReply, readReply } from '../../agent/ship/hub-client.ts';
import type { Traffic } from '../../agent/ship/link-turns.ts';
import { decodeBatch, encodeBatch } from '../../proto/batch.ts';
import { compressFrame, decompressFrame } from '../../proto/zstd.ts';
import type { Chance } from './chance.ts';
import type { HubMachine } from './hub-machine.ts';
import type { LinkFaults } from './plan.ts';
import type { Surroundings } from './surroundings.ts';

/** How long the agent waits for an answer. */
const REQUEST_TIMEOUT_MS = 30_000;
const LATE_MS_MAX = 30_000;
const LATENCY_MS_MAX = 300;
const STALL_MS_MAX = 60_000;
/** Nothing moves for so long before the agent asks elsewhere. */
const PATIENCE_MS = { min: 1500, max: 20_000 };
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

interface Request {
  /** undefined: the question for positions */
  frame: Uint8Array | undefined;
  suspect: Suspicion | undefined;
}

interface UnderWay extends Request {
  /** What the body needs to cross the link. */
  drainMs: number;
  /** Aborted when nobody waits for the answer any more. */
  over: AbortSignal;
}

/** The border as one process of the agent sees it: requests take time, and all that can happen. */
export class FaultyLink implements HubLink {
  readonly #deps: LinkDeps;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
  }

  postBatch(
    frame: Uint8Array,
    signal: AbortSignal,
    _kind: Kind,
    suspect?: Suspicion,
  ): Promise<HubReply> {
    return this.#exchange({ frame, suspect }, signal);
  }

  askPositions(signal: AbortSignal): Promise<HubReply> {
    return this.#exchange({ frame: undefined, suspect: undefined }, signal);
  }

  bodyBytes(): number {
    const { isCalm, plan } = this.#deps.surroundings;
    return isCalm ? Number.POSITIVE_INFINITY : plan.narrow.bodyBytes;
  }

  atOnce(traffic: Traffic): number {
    const { packsMax, liveMax } = this.#deps.surroundings.plan.narrow;
    return traffic === 'live' ? liveMax : packsMax;
  }

  async #exchange(request: Request, signal: AbortSignal): Promise<HubReply> {
    const { surroundings, isDead } = this.#deps;
    if (signal.aborted || isDead()) return unreachable('given up');
    const { promise, resolve } = Promise.withResolvers<HubReply>();
    const over = new AbortController();
    const limit = AbortSignal.any([signal, over.signal]);
    const drainMs = this.#drainMs(request.frame);
    surroundings.spawn(this.#carry({ ...request, drainMs, over: over.signal }, resolve));
    surroundings.spawn(
      surroundings.time
        // A body that drains is not given up, however long that takes.
        .sleep(REQUEST_TIMEOUT_MS + drainMs, limit)
        .then(() => resolve(unreachable('no answer in time'))),
    );
    const reply = await promise;
    over.abort();
    return reply;
  }

  /** What becomes of one request; `answer` is not called when the connection is half open. */
  async #carry(request: UnderWay, answer: (reply: HubReply) => void): Promise<void> {
    const { frame, drainMs } = request;
    const { surroundings, route, chance, isDown } = this.#deps;
    const { time } = surroundings;
    const hub = route();
    const fate = this.#drawFate();
    const reset = (): void => answer({ ...unreachable('connection reset'), isCutOff: true });
    if (fate !== 'carried') surroundings.note(`link ${fate}`);
    await time.sleep(fate === 'cut' ? chance.between(0, drainMs) : drainMs);
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
    const isAnswerStalled = fate === 'stalled' && chance.maybe(0.5);
    if (fate === 'stalled' && !isAnswerStalled) {
      await this.#stall(request, answer);
      if (chance.maybe(0.5)) return;
    }
    if (fate === 'twice') surroundings.spawn(this.#deliverAgain(hub, frame));
    if (fate === 'damaged' && frame !== undefined) {
      await this.#deliver(hub, damaged(frame, chance));
    }
    if (fate === 'proxied' && chance.maybe(0.5)) return answer(this.#proxyReply(frame));
    const reply = await this.#deliver(hub, frame);
    if (isAnswerStalled) await this.#stall(request, answer);
    if (fate === 'proxied') return answer(this.#proxyReply(frame));
    if (fate === 'answerLost' && chance.maybe(0.5)) return;
    if (reply === undefined || fate === 'answerLost' || isDown()) return reset();
    answer(reply);
  }

  /** Nothing moves for a while, and the agent asks elsewhere what became of the request. */
  async #stall({ suspect, over }: UnderWay, answer: (reply: HubReply) => void): Promise<void> {
    const { surroundings, chance } = this.#deps;
    let leftMs = chance.between(0, STALL_MS_MAX);
    while (leftMs > 0) {
      const waitMs = Math.min(leftMs, chance.between(PATIENCE_MS.min, PATIENCE_MS.max));
      await surroundings.time.sleep(waitMs);
      leftMs -= waitMs;
      if (over.aborted || suspect === undefined) continue;
      if ((await suspect()) === 'over') answer({ ...unreachable('nothing moves'), isOver: true });
    }
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

  #drainMs(frame: Uint8Array | undefined): number {
    const { isCalm, plan } = this.#deps.surroundings;
    return isCalm ? 0 : ((frame?.length ?? 0) * 1000) / plan.narrow.bytesPerSecond;
  }

  #latencyMs(): number {
    return this.#deps.chance.between(1, LATENCY_MS_MAX);
  }
}

function unreachable(message: string): HubReply & { kind: 'unreachable' } {
  return { kind: 'unreachable', message };
}

/** The batch with its samples section cut short, in a frame that is in order again. */
function damaged(frame: Uint8Array, chance: Chance): Uint8Array {
  const batch = decodeBatch(decompressFrame(frame, FRAME_BYTES_MAX));
  if (batch.lane !== 'live' && batch.lane !== 'pack') return frame;
  const samples = batch.samples.subarray(0, chance.whole(0, batch.samples.length - 1));
  return compressFrame(encodeBatch({ ...batch, samples }), 1);
}

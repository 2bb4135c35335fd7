import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Random } from '../../base/random.ts';
import { Destination } from '../../hub/write/destination.ts';
import type { DeliveryResult } from '../../hub/write/lanes.ts';
import type { Post, PostResult } from '../../hub/write/post.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { emptySettlement, type Settlement } from '../../proto/settlement.ts';
import { startCheckingDestination } from '../tools/checking-destination.ts';
import { decodeExactly } from '../tools/exact-remote-write.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { appendSeries, columnsOf, newDictionary, pick } from './series-fixture.ts';
import { type Rig, requestsOf, rig } from './write-fixture.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A request with one sample of each series, in this order; timestamps count from `from`. */
function requestOf(names: readonly string[], from = 0): OutgoingRequest {
  const copy = newDictionary();
  const ids = new Map([...new Set(names)].map((name) => [name, add(name)] as const));
  function add(name: string): number {
    return appendSeries(copy, 'a', { __name__: name });
  }
  const columns = columnsOf(names.map((name, at) => [ids.get(name)!, from + at] as const));
  return requestsOf(copy, columns)[0]!;
}

/** `count` series, of which those at `guilty` make the destination fail. */
function names(count: number, ...guilty: number[]): string[] {
  return Array.from({ length: count }, (_, at) => (guilty.includes(at) ? `poison${at}` : `s${at}`));
}

function samplesOf(body: Uint8Array): string[] {
  return decodeExactly(body).flatMap(({ labels, samples }) =>
    samples.map(({ timestamp }) => `${labels[0]?.value}@${timestamp}`),
  );
}

const ACCEPTED: PostResult = { kind: 'answer', status: 200, headers: {}, body: '' };
const FAILED: PostResult = { kind: 'answer', status: 500, headers: {}, body: 'a panic' };
const BUSY: PostResult = { ...FAILED, status: 503 };
const NO_ANSWER: PostResult = { kind: 'failed', message: '', timedOut: true, mayHaveArrived: true };

/** A destination in memory that fails on series named poison, and on all while `mood` says so. */
class Fragile {
  readonly #stored = new Set<string>();
  /** What everybody is answered, whatever the samples. */
  mood: () => PostResult | undefined = () => undefined;

  readonly post: Post = async ({ body }) => {
    const mood = this.mood();
    if (mood !== undefined) return mood;
    const samples = samplesOf(body);
    if (samples.some((sample) => sample.startsWith('poison'))) return FAILED;
    for (const sample of samples) this.#stored.add(sample);
    return ACCEPTED;
  };

  /** Samples in the order in which they came first; a witness may come again. */
  get stored(): string[] {
    return [...this.#stored];
  }
}

function settled(counts: Partial<Settlement>): DeliveryResult {
  const settlement = { ...emptySettlement(), ...counts };
  return { kind: 'settled', settlement, newestMs: expect.any(Number) };
}

const setAside = (count: number) => new Map([['set_aside' as const, count]]);

function signals(cancel = new AbortController()) {
  return { cancel: cancel.signal, end: cancel.signal };
}

/** Delivers while requests of others come every few seconds. */
async function amongOthers(tools: Rig, work: () => Promise<DeliveryResult>) {
  const isOver = new AbortController();
  const others = (async () => {
    for (let at = 0; !isOver.signal.aborted; at++) {
      await tools.deliver(requestOf(['other'], at), signals(isOver));
      await tools.clock.sleep(20_000);
    }
  })();
  const result = await work();
  isOver.abort();
  await others;
  return result;
}

/** Delivers, and gives up after so long. */
async function deliverFor(tools: Rig, request: OutgoingRequest, limitMs: number) {
  const giveUp = new AbortController();
  const endsAt = tools.clock.now() + limitMs;
  let isOver = false;
  const delivery = tools.deliver(request, signals(giveUp)).finally(() => {
    isOver = true;
  });
  while (!isOver && tools.clock.now() < endsAt) await new Promise((turn) => setImmediate(turn));
  giveUp.abort();
  return await delivery;
}

describe('samples that the destination fails on while it takes others', () => {
  it('alone are set aside of their request, in bounded time, and the rest is stored', async () => {
    for (const guilty of [[0], [63], [31], [5, 6, 7], [0, 20, 63]]) {
      const destination = new Fragile();
      const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
      const began = tools.clock.now();
      const request = requestOf(names(64, ...guilty));
      const result = await amongOthers(tools, () => tools.deliver(request, signals()));
      const tookMs = tools.clock.now() - began;
      expect(result).toEqual(
        settled({ accepted: 64 - guilty.length, refused: setAside(guilty.length) }),
      );
      const kept = tools.refused.flatMap(({ body }) => samplesOf(body));
      expect(kept).toEqual(guilty.map((at) => `poison${at}@${at}`));
      expect(tools.refused[0]).toMatchObject({ reason: 'set_aside', message: '500 a panic' });
      const innocent = destination.stored.filter((sample) => !sample.startsWith('other'));
      const expected = names(64).map((name, at) => `${name}@${at}`);
      expect(innocent).toEqual(expected.filter((_, at) => !guilty.includes(at)));
      expect(tookMs).toBeGreaterThan(HOUR_MS);
      expect(tookMs).toBeLessThan(2.5 * HOUR_MS);
    }
  });

  it('are found when nothing but their own request passes, whatever their place', async () => {
    for (const guilty of [[0], [1], [63], [0, 1], [62, 63], [0, 1, 2, 3, 4, 60, 61, 62, 63]]) {
      const destination = new Fragile();
      const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
      const result = await deliverFor(tools, requestOf(names(64, ...guilty)), DAY_MS);
      expect(result).toEqual(
        settled({ accepted: 64 - guilty.length, refused: setAside(guilty.length) }),
      );
      const kept = tools.refused.flatMap(({ body }) => samplesOf(body));
      expect(kept).toEqual(guilty.map((at) => `poison${at}@${at}`));
    }
  });

  it('leave the order of every series as it was, theirs included', async () => {
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
    const request = requestOf(['poison', 's', 'poison', 't', 's', 'poison', 't', 's']);
    await deliverFor(tools, request, DAY_MS);
    expect(destination.stored.filter((sample) => sample.startsWith('s'))).toEqual([
      's@1',
      's@4',
      's@7',
    ]);
    expect(tools.refused.flatMap(({ body }) => samplesOf(body))).toEqual([
      'poison@0',
      'poison@2',
      'poison@5',
    ]);
  });

  it('are followed by the next ones of their series within minutes, for an hour', async () => {
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
    const request = (from: number) => requestOf(names(64, 40), from);
    const timed = async (from: number) => {
      const began = tools.clock.now();
      await deliverFor(tools, request(from), DAY_MS);
      return tools.clock.now() - began;
    };
    expect(await timed(0)).toBeGreaterThan(HOUR_MS);
    for (let n = 1; n < 20; n++) expect(await timed(n * 100)).toBeLessThan(HOUR_MS / 10);
    await tools.clock.sleep(HOUR_MS + 1);
    expect(await timed(9999)).toBeGreaterThan(HOUR_MS);
  });

  it('and make up a whole request are set aside after as long again at most', async () => {
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
    const all = Array.from({ length: 200 }, (_, at) => at);
    const began = tools.clock.now();
    const request = requestOf(names(200, ...all));
    const result = await amongOthers(tools, () => tools.deliver(request, signals()));
    expect(result).toEqual(settled({ refused: setAside(200) }));
    expect(tools.clock.now() - began).toBeLessThan(2.5 * HOUR_MS);
    expect(tools.refused.flatMap(({ body }) => samplesOf(body))).toHaveLength(200);
  });

  it('are set aside when they are all that is sent, as others were taken before', async () => {
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
    await tools.deliver(requestOf(['before']), signals());
    const result = await deliverFor(tools, requestOf(['poison']), DAY_MS);
    expect(result).toEqual(settled({ refused: setAside(1) }));
  });

  it('wait for ever where that is wanted', async () => {
    const tools = rig('cortex', new Fragile().post, { setAsideAfterMs: 0 });
    const delivery = () => deliverFor(tools, requestOf(['poison']), 4 * HOUR_MS);
    expect(await amongOthers(tools, delivery)).toEqual({ kind: 'cancelled' });
    expect(tools.refused).toEqual([]);
  });
});

describe('in an outage of the whole destination nothing is set aside', () => {
  /** Delivers a request of innocent samples while the destination answers as `mood` says. */
  async function outage(mood: (sinceMs: number, random: Random) => PostResult | undefined) {
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
    const random = seededRandom('mood');
    const began = tools.clock.now();
    destination.mood = () => mood(tools.clock.now() - began, random);
    const request = requestOf(names(64));
    const result = await amongOthers(tools, () => deliverFor(tools, request, DAY_MS));
    expect(tools.refused).toEqual([]);
    return { result, destination };
  }

  it('however long it answers 500 to everything', async () => {
    const { result, destination } = await outage((sinceMs) =>
      sinceMs < 10 * HOUR_MS ? FAILED : undefined,
    );
    expect(result).toEqual(settled({ accepted: 64 }));
    const stored = destination.stored.filter((sample) => sample.startsWith('s'));
    expect(stored).toEqual(names(64).map((name, at) => `${name}@${at}`));
  });

  it('when it is away or overloaded and only now and then answers 500', async () => {
    const { result } = await outage((sinceMs, random) => {
      if (sinceMs > 10 * HOUR_MS) return undefined;
      return [BUSY, NO_ANSWER, BUSY, FAILED][pick(random, 4)];
    });
    expect(result).toEqual(settled({ accepted: 64 }));
  });

  it('when it fails on most requests for hours before it recovers', async () => {
    const { result } = await outage((sinceMs, random) => {
      if (sinceMs < 5 * HOUR_MS) return FAILED;
      return sinceMs < 8 * HOUR_MS && random.float() < 0.8 ? FAILED : undefined;
    });
    expect(result).toEqual(settled({ accepted: 64 }));
  });

  it('nor where a request is answered 500 never twice in a row', async () => {
    const destination = new Fragile();
    let answers = 0;
    const post: Post = async (request) => {
      const isVictim = samplesOf(request.body)[0]?.startsWith('victim') === true;
      if (!isVictim || answers > 2000) return await destination.post(request);
      return answers++ % 2 === 0 ? FAILED : BUSY;
    };
    const tools = rig('cortex', post, { setAsideAfterMs: HOUR_MS });
    const request = requestOf(['victim', 'another']);
    const result = await amongOthers(tools, () => tools.deliver(request, signals()));
    expect(result).toEqual(settled({ accepted: 2 }));
  });

  it('when a clock is set forward by a day', async () => {
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS });
    let failures = 0;
    destination.mood = () => {
      if (failures++ === 3) void tools.clock.sleep(DAY_MS);
      return failures < 6 ? FAILED : undefined;
    };
    expect(await tools.deliver(requestOf(['s']), signals())).toEqual(settled({ accepted: 1 }));
    expect(tools.refused).toEqual([]);
  });

  it('while nothing was ever taken: nobody can know whose fault it is', async () => {
    const tools = rig('cortex', new Fragile().post, { setAsideAfterMs: HOUR_MS });
    expect(await deliverFor(tools, requestOf(['poison']), DAY_MS)).toEqual({
      kind: 'cancelled',
    });
    expect(tools.refused).toEqual([]);
  });
});

describe('in outages that come and go as chance will have it', () => {
  const seeds = Array.from({ length: 20 }, (_, n) => `outage ${n}`);
  it.each(seeds)('only what is guilty is set aside (seed %s)', async (seed) => {
    const random = seededRandom(seed);
    const destination = new Fragile();
    const tools = rig('cortex', destination.post, { setAsideAfterMs: HOUR_MS, seed });
    let changesAtMs = tools.clock.now();
    let answer: PostResult | undefined;
    destination.mood = () => {
      while (tools.clock.now() >= changesAtMs) {
        changesAtMs += random.float() * 3 * HOUR_MS;
        answer = [undefined, FAILED, FAILED, BUSY][pick(random, 4)];
      }
      return answer;
    };
    let poisons = 0;
    for (let from = 0; from < 600; from += 100) {
      const guilty = pick(random, 80);
      if (guilty < 40) poisons++;
      const request = requestOf(names(40, guilty), from);
      await amongOthers(tools, () => tools.deliver(request, signals()));
    }
    const aside = tools.refused.flatMap(({ body }) => samplesOf(body));
    expect(aside.filter((sample) => !sample.startsWith('poison'))).toEqual([]);
    expect(aside).toHaveLength(poisons);
  });
});

describe('a real destination', () => {
  let workspace: Workspace;
  beforeEach(() => {
    workspace = new Workspace('set-aside');
  });
  afterEach(() => workspace.close());

  it('that fails on one series gets everything else', async () => {
    const checking = await startCheckingDestination({
      semantics: 'cortex',
      fail: (_tenant, series) => (series.includes('poison') ? 'panic: nil map' : undefined),
    });
    const sender = new Destination({
      url: checking.url,
      tenantHeader: 'X-Scope-OrgID',
      timeoutMs: 5000,
      connectTimeoutMs: 5000,
      inFlightMax: 4,
      version: '0.0.0',
    });
    workspace.onClose(() => sender.close().then(() => checking.close()));
    const tools = rig('cortex', sender.post, { setAsideAfterMs: HOUR_MS });
    const result = await tools.deliver(requestOf(names(50, 17)), signals());
    expect(result).toEqual(settled({ accepted: 49, refused: setAside(1) }));
    expect(tools.refused).toMatchObject([{ reason: 'set_aside', message: '500 panic: nil map' }]);
    expect([...checking.samples('a').values()].flat()).toHaveLength(49);
    expect(checking.violations).toEqual([]);
    expect(checking.outOfOrder).toEqual([]);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import type { Random } from '../../base/random.ts';
import { Destination } from '../../hub/write/destination.ts';
import { type Deliver, type DeliveryResult, Lanes } from '../../hub/write/lanes.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { emptySettlement, settledCount } from '../../proto/settlement.ts';
import {
  type CheckingDestination,
  type CheckingDestinationOptions,
  type ScriptedAnswer,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { appendSeries, columnsOf, newDictionary, pick } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

/** A request of which only the lane and the number matter. */
function numbered(lane: number, number: number): OutgoingRequest {
  return {
    tenant: String(number),
    lane,
    count: number,
    mayBeRedelivered: false,
    isExemplar: () => false,
    seriesHash: () => 0,
    timestampOf: () => 0,
    cutsAtRepeats: () => [],
    select: () => numbered(lane, number),
    encode: () => new Uint8Array(),
  };
}

/** A delivery that ends when the test says so. */
function heldDelivery() {
  const open = new Map<string, () => void>();
  const started: string[] = [];
  const deliver: Deliver = async (request) => {
    started.push(request.tenant);
    await new Promise<void>((resolve) => open.set(request.tenant, resolve));
    const { count } = request;
    const settlement = { ...emptySettlement(), accepted: count };
    return { kind: 'settled', settlement, newestMs: count };
  };
  return { deliver, started, end: (name: string) => open.get(name)?.() };
}

/** Lets everything go on that waits for nothing but its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('lanes', () => {
  it('have one request each in flight, in the order in which they came', async () => {
    const { deliver, started, end } = heldDelivery();
    const lanes = new Lanes(deliver, new AbortController().signal);
    const result = lanes.settle([numbered(0, 1), numbered(0, 2), numbered(1, 3), numbered(0, 4)]);
    expect(started).toEqual(['1', '3']);
    end('3');
    await turn();
    expect(started).toEqual(['1', '3']);
    end('1');
    await turn();
    expect(started).toEqual(['1', '3', '2']);
    end('2');
    await turn();
    end('4');
    expect(await result).toMatchObject({
      kind: 'settled',
      settlement: { accepted: 10 },
      newestMs: 4,
    });
  });

  it('settle a batch behind the one before it, lane by lane', async () => {
    const { deliver, started, end } = heldDelivery();
    const lanes = new Lanes(deliver, new AbortController().signal);
    const first = lanes.settle([numbered(0, 1), numbered(1, 2)]);
    const second = lanes.settle([numbered(1, 3)]);
    await turn();
    expect(started).toEqual(['1', '2']);
    end('2');
    await turn();
    expect(started).toEqual(['1', '2', '3']);
    end('3');
    expect(await second).toMatchObject({ settlement: { accepted: 3 } });
    end('1');
    expect(await first).toMatchObject({ settlement: { accepted: 3 } });
  });

  it('settle an empty batch at once', async () => {
    const lanes = new Lanes(heldDelivery().deliver, new AbortController().signal);
    expect(await lanes.settle([])).toEqual({
      kind: 'settled',
      settlement: emptySettlement(),
      newestMs: Number.NEGATIVE_INFINITY,
    });
    await lanes.idle();
  });

  it('drop what is queued for a new stream, and are idle after what is in flight', async () => {
    const { deliver, started, end } = heldDelivery();
    const lanes = new Lanes(deliver, new AbortController().signal);
    const old = lanes.settle([numbered(0, 1), numbered(0, 2), numbered(0, 3)]);
    lanes.cancelQueued();
    let idle = false;
    const waiting = lanes.idle().then(() => {
      idle = true;
    });
    await turn();
    expect(idle).toBe(false);
    end('1');
    await waiting;
    expect(await old).toEqual({ kind: 'cancelled' });
    const fresh = lanes.settle([numbered(0, 4)]);
    end('4');
    expect(await fresh).toMatchObject({ kind: 'settled' });
    expect(started).toEqual(['1', '4']);
  });

  it('take new requests while those of the old stream are still in flight', async () => {
    const { deliver, started, end } = heldDelivery();
    const lanes = new Lanes(deliver, new AbortController().signal);
    const old = lanes.settle([numbered(0, 1), numbered(0, 2)]);
    lanes.cancelQueued();
    const fresh = lanes.settle([numbered(0, 3)]);
    end('1');
    await turn();
    end('3');
    expect([(await old).kind, (await fresh).kind]).toEqual(['cancelled', 'settled']);
    expect(started).toEqual(['1', '3']);
  });

  it('cancel everything, now and later, once they are ended', async () => {
    const end = new AbortController();
    const { deliver, started, end: endDelivery } = heldDelivery();
    const lanes = new Lanes(deliver, end.signal);
    const open = lanes.settle([numbered(0, 1), numbered(0, 2)]);
    end.abort();
    endDelivery('1');
    expect(await open).toEqual({ kind: 'cancelled' });
    expect(await lanes.settle([numbered(0, 3)])).toEqual({ kind: 'cancelled' });
    expect(await lanes.settle([numbered(0, 4)])).toEqual({ kind: 'cancelled' });
    await lanes.idle();
    expect(started).toEqual(['1']);
  });

  it('pass a bug in the delivery on to the one who waits for the batch', async () => {
    const bug = async () => {
      throw new Error('a bug');
    };
    const lanes = new Lanes(bug, new AbortController().signal);
    await expect(lanes.settle([numbered(0, 1)])).rejects.toThrow('a bug');
    await lanes.idle();
  });
});

/** Everything that can go wrong with one request, and often enough nothing. */
function randomFault(random: Random): ScriptedAnswer | 'as usual' {
  switch (pick(random, 11)) {
    case 0:
      return { status: 503, headers: { 'retry-after': '1' } };
    case 1:
      return { status: 500, stores: true };
    case 2:
      return { status: 429 };
    case 3:
      return { ending: 'cut' };
    case 4:
      return { ending: 'cut', stores: true };
    case 5:
      return { ending: 'hang', stores: random.float() < 0.5 };
    case 6:
      return { status: 401 };
    default:
      return 'as usual';
  }
}

interface Run {
  destination: CheckingDestination;
  results: DeliveryResult[];
  sampleCount: number;
  /** Samples as sent, by series and timestamp. */
  sent: Map<string, bigint>;
  requestsWhenSettled: number;
}

const SERIES = 30;
const LANES = 3;

/** Sends random batches through random faults over real HTTP. */
async function run(
  seed: string,
  kind: DestinationKind,
  options: CheckingDestinationOptions,
  open: { close(): Promise<void> }[],
): Promise<Run> {
  const random = seededRandom(seed);
  const destination = await startCheckingDestination({ samplesPerBodyMax: 40, ...options });
  const sender = new Destination({
    url: destination.url,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 150,
    connectTimeoutMs: 5000,
    inFlightMax: LANES,
    version: '0.0.0',
  });
  open.push(sender, destination);
  destination.answerNext(...Array.from({ length: 60 }, () => randomFault(random)));
  const { deliver } = rig(kind, sender.post, { seed });
  const lanes = new Lanes(deliver, new AbortController().signal);
  const copy = newDictionary();
  const names = Array.from({ length: SERIES }, (_, n) => {
    const replica = n % 2 === 0 ? {} : { __replica__: `r${n % 3}`, cluster: 'x' };
    const labels = { __name__: 'up', ...replica, instance: `i${n}` };
    appendSeries(copy, 'a', labels);
    return n;
  });
  const sent = new Map<string, bigint>();
  const results: DeliveryResult[] = [];
  let sampleCount = 0;
  for (let batch = 0; batch < 6; batch++) {
    const rows = Array.from({ length: 100 + pick(random, 200) }, (_, at) => {
      return [names[pick(random, SERIES)]!, batch * 1000 + at] as const;
    });
    const columns = columnsOf(rows);
    rows.forEach(([id, timestamp], row) => {
      sent.set(`i${id} ${timestamp}`, (0x7ff0_0000n << 32n) | BigInt(row));
    });
    const samplesPerRequestMax = 1 + pick(random, 60);
    const requests = requestsOf(copy, columns, { lanes: LANES, samplesPerRequestMax });
    sampleCount += rows.length;
    results.push(await lanes.settle(requests));
  }
  const requestsWhenSettled = destination.requests.length;
  return { destination, results, sampleCount, sent, requestsWhenSettled };
}

function totals({ results }: Run) {
  const total = { settled: 0, refused: 0, unknown: 0, redelivered: 0, accepted: 0 };
  for (const result of results) {
    if (result.kind !== 'settled') throw new Error(result.kind);
    const { settlement } = result;
    total.settled += settledCount(settlement);
    for (const count of settlement.refused.values()) total.refused += count;
    total.unknown += settlement.unknown;
    total.redelivered += settlement.redelivered;
    total.accepted += settlement.accepted;
  }
  return total;
}

/** What arrived, in the form in which it was sent. */
function stored({ destination }: Run): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const [series, samples] of destination.samples('a')) {
    const instance = /instance="([^"]+)"/.exec(series)?.[1];
    for (const { timestamp, bits } of samples) found.set(`${instance} ${timestamp}`, bits);
  }
  return found;
}

describe('samples on their way through random faults', () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });

  const seeds = Array.from({ length: 5 }, (_, n) => `lanes ${n}`);

  for (const seed of seeds) {
    it(`arrive bit for bit and in order, and are settled once (seed ${seed})`, async () => {
      const result = await run(seed, 'cortex', {}, open);
      const total = totals(result);
      expect(total).toMatchObject({ settled: result.sampleCount, refused: 0, unknown: 0 });
      expect(stored(result)).toEqual(result.sent);
      expect(result.destination.outOfOrder).toEqual([]);
      expect(result.destination.violations).toEqual([]);
      expect(result.destination.openMax).toBeGreaterThan(1);
      expect(result.destination.requests).toHaveLength(result.requestsWhenSettled);
    });

    it(`lose nothing to a Cortex that refuses what it has (seed ${seed})`, async () => {
      const result = await run(seed, 'cortex', { semantics: 'cortex' }, open);
      const total = totals(result);
      expect(total).toMatchObject({ settled: result.sampleCount, refused: 0, unknown: 0 });
      expect(stored(result)).toEqual(result.sent);
      expect(result.destination.outOfOrder).toEqual([]);
      expect(result.destination.violations).toEqual([]);
    });

    it(`lose exactly the guilty ones to a Prometheus (seed ${seed})`, async () => {
      const isGuilty = (timestamp: number) => timestamp % 1000 === 17;
      const refuse: CheckingDestinationOptions['refuse'] = (_tenant, _series, { timestamp }) =>
        isGuilty(timestamp) ? 'too old sample' : undefined;
      const result = await run(seed, 'prometheus', { semantics: 'prometheus', refuse }, open);
      const innocent = new Map(
        [...result.sent].filter(([key]) => !isGuilty(Number(key.split(' ')[1]))),
      );
      const total = totals(result);
      expect(total.settled).toBe(result.sampleCount);
      expect(total.refused).toBe(result.sampleCount - innocent.size);
      expect(total.unknown).toBe(0);
      expect(stored(result)).toEqual(innocent);
    });
  }
});

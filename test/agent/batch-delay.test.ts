import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BatchDelay, type SentSamples } from '../../agent/ship/batch-delay.ts';
import type { ShipOptions } from '../../agent/ship/contracts.ts';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import { decodeBatch, type LiveBatch } from '../../proto/batch.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { VirtualTime, WallClock } from '../sim/virtual-time.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import { Workspace } from '../tools/workspace.ts';
import { startAgent } from './ship-fixture.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

/** Two bytes a sample. */
const last: SentSamples = { samples: 100, sampleBytes: 200 };

describe('with one limit', () => {
  test('a batch is due so long after the one before, however much waits', () => {
    const delay = new BatchDelay({ maxDelayMs: 5000 });
    expect(delay.dueInMs(0, 1)).toBe(0);
    delay.sent(1000, last);
    delay.answered(450);
    for (const waiting of [1, 1_000_000]) {
      expect(delay.dueInMs(1000, waiting)).toBe(5000);
      expect(delay.dueInMs(5999.5, waiting)).toBe(1);
      expect(delay.dueInMs(6000, waiting)).toBe(0);
    }
    expect(delay.dueInMs(9000, 0)).toBe(5000);
  });
});

describe('with two limits', () => {
  let delay: BatchDelay;
  beforeEach(() => {
    delay = new BatchDelay({ minDelayMs: 5000, maxDelayMs: 60_000 });
  });

  function sent(atMs: number): void {
    delay.sent(atMs, last);
    delay.answered(450);
  }

  test('the first batch goes at once: nothing is known of its bytes', () => {
    expect(delay.dueInMs(0, 1)).toBe(0);
  });

  test('samples that are as many bytes as what goes with them wait for the lower one', () => {
    sent(0);
    expect(delay.dueInMs(1000, 250)).toBe(4000);
    expect(delay.dueInMs(5000, 250)).toBe(0);
  });

  test('fewer wait for more, and are looked at again and again', () => {
    sent(0);
    expect(delay.dueInMs(5000, 249)).toBe(5000);
    expect(delay.dueInMs(10_000, 249)).toBe(5000);
    expect(delay.dueInMs(15_000, 250)).toBe(0);
  });

  test('they wait no longer than the upper one, since they were stored', () => {
    sent(0);
    delay.stored(3000);
    delay.stored(40_000);
    expect(delay.dueInMs(62_000, 1)).toBe(1000);
    expect(delay.dueInMs(63_000, 1)).toBe(0);
  });

  test('time in which nothing waited does not count', () => {
    sent(0);
    // A commit of another tenant.
    delay.stored(1000);
    expect(delay.dueInMs(100_000, 0)).toBe(5000);
    delay.stored(200_000);
    expect(delay.dueInMs(205_000, 1)).toBe(5000);
    expect(delay.dueInMs(259_999, 1)).toBe(1);
    expect(delay.dueInMs(260_000, 1)).toBe(0);
  });

  test('what was stored while a batch was under way counts from then on', () => {
    sent(0);
    delay.stored(2000);
    sent(10_000);
    delay.stored(12_000);
    expect(delay.dueInMs(71_000, 1)).toBe(1000);
  });

  test('what an exchange costs is what was measured last', () => {
    sent(0);
    delay.answered(150);
    expect(delay.dueInMs(5000, 100)).toBe(0);
    expect(delay.dueInMs(5000, 99)).toBe(5000);
    delay.answered(undefined);
    expect(delay.dueInMs(5000, 100)).toBe(0);
  });
});

/** A hub that takes everything at once. */
class CountingLink extends UnmeasuredLink {
  readonly batches: { atMs: number; frameBytes: number; batch: LiveBatch }[] = [];
  readonly #clock: WallClock;

  constructor(clock: WallClock) {
    super();
    this.#clock = clock;
  }

  async postBatch(frame: Uint8Array): Promise<HubReply> {
    const batch = decodeBatch(decompressFrame(frame, 2 ** 24));
    const accepted = batch.lane === 'live' ? batch.samplesCount : 0;
    if (batch.lane === 'live') {
      this.batches.push({ atMs: this.#clock.elapsedMs(), frameBytes: frame.length, batch });
    }
    const settlement = { ...emptySettlement(), accepted };
    const answer = { settlement, dictionaryOffset: 1, hubClockMs: this.#clock.now(), hub: 7n };
    return { kind: 'answer', answer, exchangeBytes: EXCHANGE_BYTES };
  }

  async askPositions(): Promise<HubReply> {
    const hubClockMs = this.#clock.now();
    return {
      kind: 'state',
      state: {
        reason: 'positions',
        hub: 7n,
        epochs: [],
        tenants: [],
        currentRun: 0n,
        currentAddress: '',
        formats: [3],
        hubClockMs,
        aheadMaxMs: 0,
      },
    };
  }
}

const EXCHANGE_BYTES = 800;

interface Feed {
  samples: number;
  everySeconds: number;
  seconds: number;
}

describe('an agent', () => {
  let workspace: Workspace;
  beforeEach(() => {
    workspace = new Workspace('batch-delay');
  });
  afterEach(() => workspace.close());

  /** Batches of a time in which so many samples come every so many seconds. */
  async function ship(options: Partial<ShipOptions>, { samples, everySeconds, seconds }: Feed) {
    const time = new VirtualTime();
    const clock = new WallClock(time, 1_800_000_000_000);
    const link = new CountingLink(clock);
    const limits = { samplesMax: 1e6, ...options };
    const agent = startAgent(workspace.folder, link, clock, 'delay', limits);
    let stored = 0;
    const feed = async (): Promise<void> => {
      while (time.elapsedMs < seconds * SECOND_MS) {
        const rows = Array.from({ length: samples }, () => {
          const noise = Math.imul(++stored, 0x9e3779b1) >>> 0;
          return ['up', clock.now() + stored, noise] as const;
        });
        agent.append('', rows);
        await clock.sleep(everySeconds * SECOND_MS);
      }
    };
    await time.run(feed());
    await time.run(agent.end());
    return link.batches.map(({ atMs, frameBytes, batch }) => {
      const sampleBytes = batch.samples.length;
      return { atMs, sampleBytes, beside: frameBytes - sampleBytes };
    });
  }

  /** Between one batch and the next, in ms, once their size is known. */
  const pauses = (batches: { atMs: number }[]) =>
    batches.slice(2).map(({ atMs }, at) => atMs - batches[at + 1]!.atMs);

  test('of a trickle waits until samples are worth their batch', async () => {
    const limits = { minDelayMs: 2000, maxDelayMs: MINUTE_MS };
    const batches = await ship(limits, { samples: 10, everySeconds: 1, seconds: 180 });
    expect(batches.length).toBeGreaterThan(5);
    for (const { sampleBytes, beside } of batches.slice(2)) {
      const framing = EXCHANGE_BYTES + beside;
      expect(sampleBytes).toBeGreaterThan(0.95 * framing);
      // No longer than that takes, but for the next look.
      expect(sampleBytes).toBeLessThan(1.3 * framing);
    }
  });

  test('of next to nothing waits no longer than the upper limit', async () => {
    const batches = await ship(
      { minDelayMs: 2000, maxDelayMs: MINUTE_MS },
      { samples: 1, everySeconds: 5, seconds: 330 },
    );
    expect(batches.length).toBeGreaterThan(4);
    for (const ms of pauses(batches)) {
      expect(ms).toBeGreaterThan(MINUTE_MS - 1);
      expect(ms).toBeLessThanOrEqual(MINUTE_MS + 5 * SECOND_MS);
    }
  });

  test('of many samples waits for the lower limit', async () => {
    const batches = await ship(
      { minDelayMs: 2000, maxDelayMs: MINUTE_MS },
      { samples: 1000, everySeconds: 1, seconds: 30 },
    );
    expect(batches.length).toBeGreaterThan(12);
    for (const ms of pauses(batches)) expect(ms).toBeLessThanOrEqual(2000);
  });

  test('with one limit waits for that', async () => {
    const batches = await ship({ maxDelayMs: 5000 }, { samples: 1, everySeconds: 1, seconds: 60 });
    expect(batches.length).toBeGreaterThan(10);
    for (const ms of pauses(batches)) expect(ms).toBe(5000);
  });
});

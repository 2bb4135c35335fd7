import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Random } from '../../base/random.ts';
import type { Post } from '../../hub/write/post.ts';
import { CheckedSamples } from '../tools/checked-samples.ts';
import { decodeExactly } from '../tools/exact-remote-write.ts';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  type Fate,
  FickleLink,
  HastyClock,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  waiting,
} from './ship-fixture.ts';

/*
 * Any mixture of lost requests, lost and late answers, restarts and kills of either end, changes of
 * the epoch, a hub without its data, hubs that refuse packs as too large and an agent restored from an
 * older copy of its own: every sample that was acknowledged arrives under its own labels, and oldest
 * first in order per series; if twice, then unchanged.
 */

const TENANTS = ['', 'second'];
const SERIES_MAX = 12;
/** So long packing takes for a few packs, about. */
const PACKING_TURNS = 60;

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      tenant: fc.nat(1),
      series: fc.nat(SERIES_MAX - 1),
      samples: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('weather' as const),
      lost: fc.constantFrom(0, 0.2, 0.6),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('outage' as const),
      tenant: fc.nat(1),
      appends: fc.integer({ min: 3, max: 20 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('let pass' as const),
      turns: fc.integer({ min: 1, max: 15 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'restart agent',
        'change epoch',
        'kill hub',
        'save hub',
        'delete hub',
        'copy agent',
        'restore agent',
      ),
    }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

interface Way {
  order: 'oldest_first' | 'live_first';
  /** Samples of a pack; few are one segment each, and more than a hub with small limits takes. */
  packSamplesMax: number;
  /** Samples of a batch that the hub takes. */
  hubSamplesMax: number;
}

const way: fc.Arbitrary<Way> = fc.record({
  order: fc.constantFrom('oldest_first', 'live_first'),
  packSamplesMax: fc.constantFrom(10, 40, 100),
  // A segment has up to 20.
  hubSamplesMax: fc.constantFrom(30, 10_000),
});

class World {
  readonly workspace = new Workspace('ship-model');
  readonly destination = new CheckedSamples('accepting', () => undefined);
  readonly #random: Random;
  readonly #clock = new HastyClock();
  readonly #sent = new Map<string, { timestamp: number; bits: bigint }[]>();
  readonly #seed: string;
  readonly #way: Way;
  #lost = 0;
  #isDown = false;
  #starts = 0;
  #timestamp = 1_800_000_000_000;
  #hub!: RunningHub;
  #agent!: RunningAgent;
  #link!: FickleLink;

  constructor(seed: string, way: Way) {
    this.#seed = seed;
    this.#way = way;
    this.#random = seededRandom(seed);
  }

  async open(): Promise<void> {
    this.#hub = await this.#startHub();
    this.#link = new FickleLink(connect(this.#hub.url, this.#clock));
    this.#link.fate = () => this.#draw();
    this.#startAgent();
  }

  async close(): Promise<void> {
    await this.#agent.end();
    await this.#link.client.close();
    await this.#hub.end();
    await this.workspace.close();
  }

  async apply(step: Action): Promise<void> {
    switch (step.kind) {
      case 'append':
        return this.#append(step.tenant, step.series, step.samples);
      case 'weather':
        this.#lost = step.lost;
        return;
      case 'outage':
        return this.#outage(step.tenant, step.appends);
      case 'let pass':
        for (let turn = 0; turn < step.turns; turn++) await nextTurn();
        return;
      case 'change epoch':
        return this.#agent.openEpoch();
      case 'restart agent':
        await this.#agent.end();
        return this.#startAgent();
      case 'kill hub':
        return this.#restartHub();
      case 'save hub':
        return this.#hub.receiver.save();
      case 'delete hub':
        return this.#restartHub(() => rmSync(this.#folder('hub'), { recursive: true }));
      case 'copy agent':
        return this.#replaceAgent(() =>
          cpSync(this.#folder('agent'), this.#copy, { recursive: true }),
        );
      case 'restore agent':
        // What only the lost disk had cannot arrive: so nothing is on it that was not delivered.
        await this.drained();
        return this.#replaceAgent(() => {
          cpSync(this.#folder('agent'), this.#copy, { recursive: true, force: false });
          rmSync(this.#folder('agent'), { recursive: true });
          cpSync(this.#copy, this.#folder('agent'), { recursive: true });
        });
    }
  }

  async drained(): Promise<void> {
    this.#lost = 0;
    await until('the backlog to be answered for', 10_000, () => waiting(this.#agent) === 0);
    await this.#link.quiet();
  }

  expectEverythingArrived(): void {
    if (this.#way.order === 'oldest_first') expect(this.destination.outOfOrder).toEqual([]);
    const arrived = new Map<string, unknown>();
    for (const tenant of ['overseas', 'second']) {
      for (const [series, samples] of this.destination.ofTenant(tenant)) {
        const sorted = samples.toSorted((one, other) => one.timestamp - other.timestamp);
        arrived.set(`${tenant} ${series}`, sorted);
      }
    }
    expect(arrived).toEqual(this.#sent);
  }

  get #copy(): string {
    return join(this.workspace.folder, 'copy');
  }

  #folder(name: string): string {
    return this.workspace.subfolder(name);
  }

  #nextSeed(): string {
    return `${this.#seed}/${this.#starts++}`;
  }

  #draw(): Fate {
    if (this.#isDown) return 'request lost';
    if (this.#random.float() >= this.#lost) return 'delivered';
    const fates: Fate[] = ['request lost', 'answer lost', 'sent twice'];
    return fates[Math.floor(this.#random.float() * fates.length)]!;
  }

  #append(tenant: number, series: number, samples: number): void {
    const name = `series_${tenant}_${series}`;
    const rows = Array.from({ length: samples }, () => {
      this.#timestamp++;
      return [name, this.#timestamp, this.#timestamp % 2 ** 32] as const;
    });
    this.#agent.append(TENANTS[tenant]!, rows);
    const key = `${tenant === 0 ? 'overseas' : 'second'} {__name__="${name}"}`;
    const sent = this.#sent.get(key) ?? [];
    for (const [, timestamp, low] of rows) {
      sent.push({ timestamp, bits: (0x7ff00000n << 32n) | BigInt(low) });
    }
    this.#sent.set(key, sent);
  }

  /** A backlog, of which packing has its share before the link is back. */
  async #outage(tenant: number, appends: number): Promise<void> {
    this.#isDown = true;
    for (let count = 0; count < appends; count++) {
      this.#append(tenant, count % SERIES_MAX, 1 + (count % 20));
    }
    for (let turn = 0; turn < PACKING_TURNS; turn++) await nextTurn();
    this.#isDown = false;
  }

  #startAgent(): void {
    const { order, packSamplesMax: samplesMax } = this.#way;
    this.#agent = startAgent(this.#folder('agent'), this.#link, this.#clock, this.#nextSeed(), {
      samplesMax: 30,
      order,
      packing: { samplesMax, ageMinMs: 0 },
    });
  }

  #startHub(): Promise<RunningHub> {
    // 20 bytes for each decoded sample; parts of the dictionary are a few hundred.
    const decodedBytesMax = Math.max(20 * this.#way.hubSamplesMax, 600);
    return startHub(this.#folder('hub'), this.#post, { decodedBytesMax }, this.#nextSeed());
  }

  async #replaceAgent(between: () => void): Promise<void> {
    await this.#agent.end();
    between();
    this.#startAgent();
  }

  async #restartHub(between: () => void = () => {}): Promise<void> {
    await this.#hub.end();
    await this.#link.client.close();
    between();
    this.#hub = await this.#startHub();
    this.#link.client = connect(this.#hub.url, this.#clock);
  }

  /** Fails as often as the link does, before or after it has stored the samples. */
  readonly #post: Post = async ({ tenant, body, signal }) => {
    await nextTurn();
    const isLost = this.#random.float() < this.#lost / 2;
    const failed = {
      kind: 'failed',
      message: 'lost',
      timedOut: true,
      mayHaveArrived: true,
    } as const;
    if (signal.aborted || (isLost && this.#random.float() < 0.5)) return failed;
    this.destination.take(tenant, decodeExactly(body));
    return isLost ? failed : { kind: 'answer', status: 200, headers: {}, body: '' };
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A restored agent gives ids to other series than the ones the hub knows under them. */
const restoredAgent: Action[] = [
  { kind: 'append', tenant: 0, series: 0, samples: 1 },
  { kind: 'copy agent' },
  { kind: 'append', tenant: 0, series: 1, samples: 1 },
  { kind: 'restore agent' },
  { kind: 'append', tenant: 0, series: 2, samples: 1 },
];

test('whatever breaks, what was acknowledged arrives under its own labels and in order', async () => {
  const seed = seedOfRun();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), way, async (steps, how) => {
      const world = new World(`${seed}/${runs++}`, how);
      await world.open();
      try {
        for (const step of steps) await world.apply(step);
        await world.drained();
        world.expectEverythingArrived();
      } finally {
        await world.close();
      }
    }),
    {
      numRuns: 20,
      seed: Number.parseInt(seed, 16) | 0,
      endOnFailure: true,
      examples: [
        [restoredAgent, { order: 'oldest_first', packSamplesMax: 40, hubSamplesMax: 10_000 }],
      ],
    },
  );
});

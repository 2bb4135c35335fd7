import { rmSync } from 'node:fs';
import type { Random } from '../../base/random.ts';
import { AgeLimits } from '../../hub/age-limits.ts';
import { DictionaryCopy } from '../../hub/expand/dictionary-copy.ts';
import { Receiver } from '../../hub/receive/receiver.ts';
import type { Reply } from '../../hub/receive/reply.ts';
import { RefusedRecord } from '../../hub/refused/refused-record.ts';
import type { RefusedRequest } from '../../hub/refused-request.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import { openRefusedStore } from '../../hub/store/refused-store.ts';
import { StoreUnavailable } from '../../hub/store-unavailable.ts';
import type { Post } from '../../hub/write/post.ts';
import { RefusalSearch } from '../../hub/write/refusal-search.ts';
import { ReplicaCover } from '../../hub/write/replica-cover.ts';
import { RequestBodies } from '../../hub/write/request-bodies.ts';
import { SetAside } from '../../hub/write/set-aside.ts';
import { createWriter } from '../../hub/writer.ts';
import type { Settlement } from '../../proto/settlement.ts';
import type { Semantics } from '../tools/checked-samples.ts';
import type { Chance } from './chance.ts';
import { destinationTenant, type Surroundings } from './surroundings.ts';
import type { WallClock } from './virtual-time.ts';

const AGENT_ID = 'agent';
const SAVE_EVERY_MS = 1000;
const SERIES_PER_AGENT_MAX = 100_000;
/** Short beside the faults, so that an answer of 500 that is drawn again and again would show. */
const SET_ASIDE_AFTER_MS = 20_000;
const REFUSED_BYTES_MAX = 50_000;
/** What the hub is told to be in front of, by what the destination really does. */
const KINDS = { accepting: 'generic', cortex: 'cortex', prometheus: 'prometheus' } as const;

export interface HubProcessDeps {
  surroundings: Surroundings;
  clock: WallClock;
  random: Random;
  chance: Chance;
  post: Post;
  settled(settlement: Settlement): void;
  refused(requests: readonly RefusedRequest[]): void;
}

/** One process of the hub: receive, expand and write joined as hub/main.ts does, without HTTP. */
export class HubProcess {
  readonly dataDir: string;
  isDead = false;
  readonly #deps: HubProcessDeps;
  readonly #store: HubStore;
  readonly #refused: RefusedRecord;
  readonly #receiver: Receiver<DictionaryCopy>;
  readonly #ages: AgeLimits;
  readonly #ending = new AbortController();
  readonly #saving: Promise<void>;

  constructor(dataDir: string, deps: HubProcessDeps) {
    this.#deps = deps;
    this.dataDir = dataDir;
    this.#store = new FlakyStore(dataDir, deps);
    this.#refused = this.#openRecord();
    this.#ages = new AgeLimits(
      {
        sampleAgeMaxMs: 0,
        sampleAheadMaxMs: deps.surroundings.plan.hub.aheadMaxMs,
        outOfOrderTimeWindowMs: 0,
      },
      { store: this.#store, clock: deps.clock, log: SILENT },
    );
    this.#receiver = this.#createReceiver();
    this.#store.onBegunAnew(() => {
      this.#receiver.storeLost();
      this.#ages.saveAll();
    });
    this.#saving = this.#saveLazily();
    deps.surroundings.spawn(this.#saving);
  }

  receive(frame: Uint8Array): Promise<Reply> {
    return this.#receiver.receive(this.#agent, frame, 'simulation');
  }

  positions(): Promise<Reply> {
    return this.#receiver.positions(this.#agent);
  }

  /** Bytes of batches that wait for the destination. */
  get heldBytes(): number {
    return this.#receiver.heldBytes;
  }

  /** Nothing of this process reaches anybody any more. */
  crash(): void {
    this.isDead = true;
    this.#ending.abort();
    this.#deps.surroundings.spawn(this.#bury());
  }

  async #bury(): Promise<void> {
    await this.#saving;
    await this.#refused.close();
    this.#store.close();
    rmSync(this.dataDir, { recursive: true });
  }

  async stop(): Promise<void> {
    this.#receiver.close();
    this.#ending.abort();
    await this.#saving;
    await this.#refused.close();
    this.#store.close();
  }

  /** On a disk that is full now and then, which must not show anywhere else. */
  #openRecord(): RefusedRecord {
    const { chance, clock } = this.#deps;
    const disk = chance.part('disk of the record');
    return new RefusedRecord({
      open: () => {
        if (disk.maybe(this.#deps.surroundings.plan.hub.diskFull)) throw new DiskFull('disk full');
        return openRefusedStore(this.dataDir, REFUSED_BYTES_MAX);
      },
      failed: () => {},
      ageMaxMs: 0,
      dropped: () => {},
      clock,
      log: SILENT,
    });
  }

  get #agent(): { id: string; tenants: string[] } {
    const { tenants } = this.#deps.surroundings.plan;
    return { id: AGENT_ID, tenants: tenants.map(destinationTenant) };
  }

  #createReceiver(): Receiver<DictionaryCopy> {
    const { surroundings, clock, random, post, settled, refused } = this.#deps;
    const { plan, parts } = surroundings;
    const { semantics } = plan.destination;
    const { lanes, samplesPerRequestMax } = plan.hub;
    const log = SILENT;
    const ages = this.#ages;
    const delivery = {
      kind: KINDS[semantics],
      post: parts.post(post),
      bodies: new RequestBodies('v1'),
      setAside: new SetAside(SET_ASIDE_AFTER_MS, clock),
      search: new RefusalSearch(plan.hub.searchesPerMinute, clock, Number.POSITIVE_INFINITY),
      replicas: new ReplicaCover(0, clock),
      refused: {
        keep: (requests: readonly RefusedRequest[]) => {
          refused(requests);
          return this.#refused.keep(requests);
        },
      },
      ages,
      clock,
      random,
      metrics: { request: () => {}, heldByMisconfiguration: () => {} },
      log,
    };
    const options = { lanes, samplesPerRequestMax, separateReplicas: electsReplicas(semantics) };
    return new Receiver<DictionaryCopy>({
      store: this.#store,
      createCopy: () =>
        new DictionaryCopy({ clusterLabel: 'cluster', replicaLabel: '__replica__' }),
      createWriter: (agent, tenant, named) =>
        parts.tenantWriter(() =>
          createWriter({ agent, tenant, named }, options, delivery, this.#ending.signal),
        ),
      ages,
      destinationState: () => undefined,
      limits: { ...plan.hub, seriesPerAgentMax: SERIES_PER_AGENT_MAX },
      metrics: {
        heard: () => {},
        offered: () => {},
        settled: (_agent, settlement) => settled(settlement),
        event: (_agent, name) => surroundings.note(`hub says ${name}`),
      },
      clock,
      random,
      log,
    });
  }

  #save(): void {
    try {
      this.#receiver.save();
      this.#ages.save();
      this.#store.tidy();
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  async #saveLazily(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(SAVE_EVERY_MS, signal);
      if (!this.isDead) this.#save();
    }
  }
}

const SILENT = { warn: () => {}, error: () => {} };

function electsReplicas(semantics: Semantics): boolean {
  return semantics === 'cortex';
}

class DiskFull extends StoreUnavailable {}

/** The hub's database on a disk that is full now and then. */
class FlakyStore extends HubStore {
  readonly #deps: HubProcessDeps;

  constructor(dataDir: string, deps: HubProcessDeps) {
    super(dataDir, deps.random, { clock: deps.clock, log: SILENT });
    this.#deps = deps;
  }

  override addEntries(...args: Parameters<HubStore['addEntries']>): void {
    this.#mayFail();
    super.addEntries(...args);
  }

  override setPositions(...args: Parameters<HubStore['setPositions']>): void {
    this.#mayFail();
    super.setPositions(...args);
  }

  override removeEpoch(...args: Parameters<HubStore['removeEpoch']>): void {
    this.#mayFail();
    super.removeEpoch(...args);
  }

  override setRuns(...args: Parameters<HubStore['setRuns']>): void {
    this.#mayFail();
    super.setRuns(...args);
  }

  override setTenantAges(...args: Parameters<HubStore['setTenantAges']>): void {
    this.#mayFail();
    super.setTenantAges(...args);
  }

  #mayFail(): void {
    const { surroundings, chance } = this.#deps;
    if (surroundings.isCalm || !chance.maybe(surroundings.plan.hub.diskFull)) return;
    throw new DiskFull('database or disk is full');
  }
}

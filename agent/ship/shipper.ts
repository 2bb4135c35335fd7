import { boundedLog, type Log } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { type PositionRange, withoutPositions } from '../../proto/position-ranges.ts';
import type { ShipOptions, ShipTools, TimeWindow } from './contracts.ts';
import { HubSession } from './hub-session.ts';
import { PackLoop } from './pack-loop.ts';
import { SentSegments } from './sent-segments.ts';
import { emptyShipStats, type ShipStats } from './ship-stats.ts';
import { SizeLimit } from './size-limit.ts';
import { TenantLoop } from './tenant-loop.ts';

/** Silence longer than this means to the hub that the link, not the source, is gone. */
const HEARTBEAT_MS = 15_000;
const TROUBLE_LINES_PER_MINUTE = 4;

export interface ShipperDeps extends Omit<ShipTools, 'session' | 'sizes' | 'stats' | 'log'> {
  /** Highest segment that an earlier run stored. */
  storedBefore: number;
  /** Counted on from here. */
  stats?: ShipStats;
  log: Log;
}

/** The loops of one tenant. */
interface TenantLoops {
  live: TenantLoop;
  packs: PackLoop;
}

/**
 * Takes what is stored across the border: each tenant has loops of its own, so that a slow one does
 * not hold up the others; and a heartbeat while there is nothing to say.
 */
export class Shipper {
  readonly stats: ShipStats;
  readonly #options: ShipOptions;
  readonly #deps: ShipperDeps;
  readonly #tools: ShipTools;
  readonly #loops = new Map<string, TenantLoops>();
  readonly #wakeup = new Wakeup();
  #isDraining = false;
  /** What ended the loop of a tenant: a bug, and so the end of all of them. */
  #failure: { error: unknown } | undefined;

  constructor(options: ShipOptions, deps: ShipperDeps) {
    this.#options = options;
    this.#deps = deps;
    this.stats = deps.stats ?? emptyShipStats();
    const { samples, random, clock } = deps;
    const log = boundedLog(deps.log, { perMinute: TROUBLE_LINES_PER_MINUTE }, clock);
    const session = new HubSession({
      dictionaries: () => samples.dictionaries,
      // Not what waits for an answer of its own, which says more: it would be counted twice.
      acknowledge: (tenant, ranges) =>
        samples.acknowledge(tenant, withoutPositions(ranges, this.#due(tenant))),
      random,
      stats: this.stats,
      clock,
      log,
    });
    this.#tools = { ...deps, stats: this.stats, session, sizes: new SizeLimit(clock), log };
  }

  /** Segments of the tenant with lower ids wait for packs to take them. */
  backlogEnd(tenant: string): number {
    const { storedBefore } = this.#deps;
    if (this.#options.order === 'oldest_first') return 0;
    return this.#loops.get(tenant)?.live.backlogEnd ?? storedBefore + 1;
  }

  /** Timestamps that a tenant's samples may have at present, as far as the hub has said. */
  windowOf(tenant: string): TimeWindow | undefined {
    return this.#tools.session.hub === undefined
      ? undefined
      : this.#tools.session.windows.of(tenant);
  }

  /** How far the hub's clock is ahead of ours, in ms; 0 before it has said anything. */
  get hubAheadMs(): number {
    return this.#tools.session.windows.hubAheadMs;
  }

  /** Samples were appended or packed. */
  wake(): void {
    for (const { live, packs } of this.#loops.values()) {
      live.wake({ drain: this.#isDraining });
      packs.wake();
    }
    if (this.#loops.size < this.#deps.samples.backlog.size) this.#wakeup.wake();
  }

  /** From now on everything is sent at once, without waiting for more to gather. */
  drain(): void {
    this.#isDraining = true;
    this.wake();
  }

  /**
   * Runs until `signal` is aborted; what is in flight then is sent again after the next start. When
   * the loop of a tenant throws, all of them end, and it throws the same.
   */
  async run(aborted: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const signal = AbortSignal.any([aborted, ending.signal]);
    const running: Promise<void>[] = [];
    while (!signal.aborted && this.#failure === undefined) {
      for (const tenant of this.#deps.samples.backlog.keys()) {
        if (this.#loops.has(tenant)) continue;
        const { live, packs } = this.#createLoops(tenant);
        running.push(this.#watch(live.run(signal)));
        if (this.#options.order === 'live_first') running.push(this.#watch(packs.run(signal)));
      }
      await this.#wakeup.wait(this.#deps.clock, HEARTBEAT_MS, signal);
      await this.#beat(signal);
    }
    ending.abort();
    await Promise.all(running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #createLoops(tenant: string): TenantLoops {
    const { storedBefore } = this.#deps;
    const sent = new SentSegments(storedBefore);
    const common = { tenant, options: this.#options, tools: this.#tools, sent };
    const packs = new PackLoop(common);
    const live = new TenantLoop({ ...common, packs, storedBefore });
    live.wake({ drain: this.#isDraining });
    const loops = { live, packs };
    this.#loops.set(tenant, loops);
    return loops;
  }

  /** Positions of the tenant that are in batches on their way. */
  #due(tenant: string): PositionRange[] {
    const loops = this.#loops.get(tenant);
    return loops === undefined ? [] : [...loops.live.due, ...loops.packs.due];
  }

  async #watch(loop: Promise<void>): Promise<void> {
    try {
      await loop;
    } catch (error) {
      this.#failure = { error };
      this.#wakeup.wake();
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { clock, link, encoding, samples } = this.#deps;
    const heardAtMs = this.stats.lastAnswerAtMs ?? Number.NEGATIVE_INFINITY;
    if (signal.aborted || Math.abs(clock.now() - heardAtMs) < HEARTBEAT_MS) return;
    const reply = await link.postBatch(encoding.heartbeat(), signal, 'prompt');
    if (reply.kind !== 'answer') return;
    this.stats.lastAnswerAtMs = clock.now();
    // No batch may be on its way whose answer would say that parked samples are welcome by now.
    if (samples.parkedSamples > 0) await this.#askForWindows(signal);
  }

  async #askForWindows(signal: AbortSignal): Promise<void> {
    const reply = await this.#deps.link.askPositions(signal);
    if (reply.kind === 'state') this.#tools.session.windows.adopt(reply.state);
  }
}

import { Backoff } from '../../base/backoff.ts';
import { boundedLog, type Log } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import { type PositionRange, withoutPositions } from '../../proto/position-ranges.ts';
import type { HubClock } from '../hub-clock.ts';
import type { ShipOptions, ShipTools, TimeWindow } from './contracts.ts';
import { HubListener } from './hub-listener.ts';
import { HubSession } from './hub-session.ts';
import { PackLoop } from './pack-loop.ts';
import { SentSegments } from './sent-segments.ts';
import { emptyShipStats, type Moment, momentOf, type ShipStats } from './ship-stats.ts';
import { SizeLimit } from './size-limit.ts';
import { TenantLoop } from './tenant-loop.ts';

/** Silence longer than this means to the hub that the link, not the source, is gone. */
const HEARTBEAT_MS = 15_000;
/** So long after trouble the hub is asked how its destination does, whatever else it answers. */
const TROUBLE_MS = 60_000;
const TROUBLE_LINES_PER_MINUTE = 4;
/** How often to look whether the hub's time is still known; nothing is sent for that. */
const CLOCK_LOOK_MS = 1000;
/** Between questions for the time while the hub does not answer. */
const CLOCK_BACKOFF = { minMs: 1000, maxMs: 30_000 };

export interface ShipperDeps extends Omit<ShipTools, 'session' | 'sizes' | 'stats' | 'log'> {
  /** Highest segment that an earlier run stored. */
  storedBefore: number;
  /** Is told of every word of the hub. */
  hubClock: HubClock;
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
  /** By the clock that never jumps. */
  #beatAtMs = Number.NEGATIVE_INFINITY;
  /** What ended the loop of a tenant: a bug, and so the end of all of them. */
  #failure: { error: unknown } | undefined;

  constructor(options: ShipOptions, deps: ShipperDeps) {
    this.#options = options;
    this.#deps = deps;
    this.stats = deps.stats ?? emptyShipStats();
    const { samples, random, clock, hubClock } = deps;
    const log = boundedLog(deps.log, { perMinute: TROUBLE_LINES_PER_MINUTE }, clock);
    const session = new HubSession({
      dictionaries: () => samples.dictionaries,
      // Not what waits for an answer of its own, which says more: it would be counted twice.
      acknowledge: (tenant, ranges, onForgotten) =>
        samples.acknowledge(tenant, withoutPositions(ranges, this.#due(tenant)), onForgotten),
      random,
      stats: this.stats,
      clock,
      hubClock,
      log,
    });
    const link = new HubListener({ link: deps.link, hubClock, stats: this.stats, log });
    this.#tools = { ...deps, link, stats: this.stats, session, sizes: new SizeLimit(clock), log };
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
    const running: Promise<void>[] = [this.#watch(this.#keepTime(signal))];
    while (!signal.aborted && this.#failure === undefined) {
      for (const tenant of this.#deps.samples.backlog.keys()) {
        if (this.#loops.has(tenant)) continue;
        const { live, packs } = this.#createLoops(tenant);
        running.push(this.#watch(live.run(signal)));
        if (this.#options.order === 'live_first') running.push(this.#watch(packs.run(signal)));
      }
      await this.#wakeup.wait(this.#deps.clock, HEARTBEAT_MS, signal);
      await this.#watch(this.#beat(signal));
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

  /** While the destination is in trouble, answers to some batches say nothing of the others. */
  get #isBeatDue(): boolean {
    const { clock } = this.#deps;
    const { lastAnswer, lastTrouble, destination } = this.stats;
    const isWithin = (ms: number, moment: Moment | undefined): boolean =>
      moment !== undefined && clock.elapsedMs() - moment.elapsedMs < ms;
    if (destination !== undefined && destination !== 'taking') return true;
    return isWithin(TROUBLE_MS, lastTrouble) || !isWithin(HEARTBEAT_MS, lastAnswer);
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { clock, encoding, samples } = this.#deps;
    // A new tenant wakes the loop as well.
    const isEarly = clock.elapsedMs() - this.#beatAtMs < HEARTBEAT_MS / 2;
    if (signal.aborted || isEarly || !this.#isBeatDue) return;
    this.#beatAtMs = clock.elapsedMs();
    const reply = await this.#tools.link.postBatch(encoding.heartbeat(), signal, 'prompt');
    if (reply.kind !== 'answer') return;
    this.stats.lastAnswer = momentOf(clock);
    // No batch may be on its way whose answer would say that parked samples are welcome by now.
    if (samples.parkedSamples > 0) await this.#ask(signal);
  }

  /**
   * Asks for the hub's time while it is not known: at the start, and once the machine's clock was
   * set. A question waits for no quota, and for no sample that wants to be sent.
   */
  async #keepTime(signal: AbortSignal): Promise<void> {
    const { clock, hubClock, random, samples } = this.#deps;
    const backoff = new Backoff(CLOCK_BACKOFF, random);
    // What waits asks by itself before it is sent.
    await clock.sleep(0, signal);
    if (samples.backlog.size > 0) await clock.sleep(CLOCK_LOOK_MS, signal);
    while (!signal.aborted) {
      if (!hubClock.isKnown) await this.#ask(signal);
      if (hubClock.isKnown) backoff.reset();
      await clock.sleep(hubClock.isKnown ? CLOCK_LOOK_MS : backoff.next(), signal);
    }
  }

  /** The first word of a hub is all that shipping needs to begin; later ones bring the windows. */
  async #ask(signal: AbortSignal): Promise<void> {
    const { link, session } = this.#tools;
    const reply = await link.askPositions(signal);
    if (reply.kind !== 'state') return;
    if (session.hub === undefined) session.adopt(reply.state);
    else session.windows.adopt(reply.state);
  }
}

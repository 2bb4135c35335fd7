import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { HubState } from '../../proto/answer.ts';
import type { DictionaryPart } from '../../proto/batch.ts';
import { encodeEntries } from '../../proto/dictionary/part-encoder.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import type { HubClock } from '../hub-clock.ts';
import { countOne, type ShipStats } from './ship-stats.ts';
import { TimeWindows } from './time-windows.ts';

/** The durable dictionary log, with what each hub has said to hold of it. */
export interface DictionaryLog {
  readonly epoch: bigint;
  readonly length: number;
  acknowledgedOffset(hub: bigint): number;
  setAcknowledgedOffset(hub: bigint, offset: number): void;
  chainHash(offset: number): bigint | undefined;
  entries(from: number): Iterable<Uint8Array>;
  rename(random: Random): void;
}

export interface HubSessionDeps {
  /** The logs of all epochs that segments may refer to. */
  dictionaries(): readonly DictionaryLog[];
  /** See SampleLog. */
  acknowledge(
    tenant: string,
    ranges: readonly PositionRange[],
    onForgotten: (samples: number) => void,
  ): void;
  random: Random;
  stats: ShipStats;
  clock: Clock;
  hubClock: HubClock;
  log: BoundedLog;
}

/** So many changes of the hub within the window are a balancer, not a failover. */
const FLAPPING_CHANGES = 4;
const FLAPPING_WINDOW_MS = 600_000;

/**
 * What the agent knows of the hub at the other end, shared by the loops of all tenants: which hub
 * it is, how much of the dictionary it holds, which format it reads. Changes only by `adopt` and
 * `advance`, from what a hub has said.
 */
export class HubSession {
  /** Which timestamps may be sent. */
  readonly windows: TimeWindows;
  readonly #deps: HubSessionDeps;
  /** Length of each log when something was last made for the hub: it cannot hold more of ours. */
  readonly #shownLengths = new WeakMap<DictionaryLog, number>();
  #hub: bigint | undefined;
  /** It holds what cannot be ours: nothing is sent before it has said what. */
  #isInDoubt = false;
  #format: number | undefined;
  /** When the hub was another one than before, of late. */
  #changes: { hub: bigint; atMs: number }[] = [];

  constructor(deps: HubSessionDeps) {
    this.#deps = deps;
    this.windows = new TimeWindows(deps.hubClock);
  }

  /** The hub's id; undefined before the first word from it, or when it has to be asked again. */
  get hub(): bigint | undefined {
    return this.#isInDoubt ? undefined : this.#hub;
  }

  get epochsInUse(): bigint[] {
    return this.#deps.dictionaries().map(({ epoch }) => epoch);
  }

  /** Samples format for new streams: the highest both ends know; undefined if there is none. */
  get format(): number | undefined {
    return this.#format;
  }

  /** Entries of a log that this hub holds. */
  offset(log: DictionaryLog): number {
    return this.#hub === undefined ? 0 : log.acknowledgedOffset(this.#hub);
  }

  /**
   * Whether two hubs answer in turn behind one URL. While they do, no stream can live: every batch
   * has to stand for itself, and start in the dictionary where the hub that knows least stands.
   */
  get isFlapping(): boolean {
    return this.#changes.length >= FLAPPING_CHANGES;
  }

  /** Entries of a log that the next batch may rely on. */
  reliableOffset(log: DictionaryLog): number {
    if (!this.isFlapping) return this.offset(log);
    const hubs = new Set(this.#changes.map(({ hub }) => hub));
    return Math.min(...Array.from(hubs, (hub) => log.acknowledgedOffset(hub)));
  }

  /**
   * The hub has answered: it now holds `offset` entries of a log. It only grows, save by `adopt`.
   * More entries than we had come from another agent with a copy of our log: new ids of ours would
   * stand for its series, so the hub is asked for its state before it gets anything more.
   */
  advance(log: DictionaryLog, offset: number, hub: bigint | undefined): void {
    if (hub !== undefined) this.#hearFrom(hub);
    if (offset > (this.#shownLengths.get(log) ?? 0)) {
      this.#isInDoubt = true;
      return;
    }
    if (this.#hub !== undefined && offset > this.offset(log)) {
      log.setAcknowledgedOffset(this.#hub, offset);
    }
  }

  /**
   * Takes over what a hub says it holds: forgets what it has answered for, goes on in the
   * dictionary where it stands, and gives the epoch a new name where the two logs differ.
   */
  adopt(state: HubState): void {
    this.#isInDoubt = false;
    this.#hearFrom(state.hub);
    this.windows.adopt(state);
    const known = state.formats.filter((format) => sampleFormats.has(format));
    this.#format = known.length === 0 ? undefined : Math.max(...known);
    for (const log of this.#deps.dictionaries()) this.#compare(log, state);
    for (const { tenant, answered } of state.tenants) {
      this.#deps.acknowledge(tenant, answered, (samples) => {
        this.#deps.stats.resumed += samples;
      });
    }
  }

  #hearFrom(hub: bigint): void {
    const nowMs = this.#deps.clock.elapsedMs();
    this.#changes = this.#changes.filter(({ atMs }) => nowMs - atMs < FLAPPING_WINDOW_MS);
    if (hub === this.#hub) return;
    if (this.#hub !== undefined) {
      countOne(this.#deps.stats.events, 'hub changed');
      this.#deps.log.warn(
        'hub changed',
        { hub: hub.toString(16), before: this.#hub.toString(16) },
        'another hub answers under this URL, or the hub has lost its data_dir',
      );
    }
    this.#hub = hub;
    this.#changes = [...this.#changes, { hub, atMs: nowMs }].slice(-FLAPPING_CHANGES);
  }

  #compare(dictionary: DictionaryLog, { hub, epochs }: HubState): void {
    const { random, stats, log } = this.#deps;
    const theirs = epochs.find(({ epoch }) => epoch === dictionary.epoch);
    if (theirs === undefined) {
      dictionary.setAcknowledgedOffset(hub, 0);
      return;
    }
    // Beyond the end of our log there is no hash: the hub got its copy from another copy of us.
    if (dictionary.chainHash(theirs.offset) === theirs.hash) {
      dictionary.setAcknowledgedOffset(hub, theirs.offset);
      return;
    }
    countOne(stats.events, 'diverged');
    dictionary.rename(random);
    log.warn(
      'diverged',
      { hub: hub.toString(16), theirs: theirs.offset, ours: dictionary.length },
      'the hub holds another dictionary under our epoch (was data_dir restored from a copy?): ' +
        'a new epoch is opened and the dictionary sent again',
    );
  }

  /**
   * A log from entry `from` on: entries of about `bytesMax` in all before they are packed, one at
   * least. `end` is the entry behind the part, `bytes` what its entries have.
   */
  part(
    log: DictionaryLog,
    from: number,
    bytesMax: number,
  ): { part: DictionaryPart; end: number; bytes: number } {
    this.#shownLengths.set(log, log.length);
    const entries: Uint8Array[] = [];
    let bytes = 0;
    for (const entry of log.entries(from)) {
      if (entries.length > 0 && bytes + entry.length > bytesMax) break;
      entries.push(entry);
      bytes += entry.length;
    }
    const hash = log.chainHash(from);
    assert(hash !== undefined, 'a part of the dictionary beyond its end');
    const part = { offset: from, hash, entries: encodeEntries(entries) };
    return { part, end: from + entries.length, bytes };
  }
}

import { assert } from '../../base/assert.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { HubState } from '../../proto/answer.ts';
import type { DictionaryPart } from '../../proto/batch.ts';
import { ByteWriter } from '../../proto/bytes.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { countOne, type ShipStats } from './ship-stats.ts';

/** The part of the buffer that knows what a hub holds. */
export interface AcknowledgedLog {
  readonly epoch: bigint;
  readonly dictionaryLength: number;
  acknowledgedOffset(hub: bigint): number;
  setAcknowledgedOffset(hub: bigint, offset: number): void;
  chainHash(offset: number): bigint | undefined;
  entries(from: number): Iterable<Uint8Array>;
  renameEpoch(random: Random): void;
  acknowledge(
    tenant: string,
    ranges: readonly PositionRange[],
    hub: { hub: bigint; offset: number },
  ): number;
}

/**
 * What the agent knows of the hub at the other end, shared by the loops of all tenants: which hub
 * it is, how much of the dictionary it holds, which format it reads. Changes only by `adopt` and
 * `advance`, from what a hub has said.
 */
export class HubSession {
  readonly #log: AcknowledgedLog;
  readonly #random: Random;
  readonly #stats: ShipStats;
  readonly #logger: Log;
  #hub: bigint | undefined;
  #format: number | undefined;

  constructor(log: AcknowledgedLog, deps: { random: Random; stats: ShipStats; log: Log }) {
    this.#log = log;
    this.#random = deps.random;
    this.#stats = deps.stats;
    this.#logger = deps.log;
  }

  /** The hub's id; undefined before the first word from it. */
  get hub(): bigint | undefined {
    return this.#hub;
  }

  /** Samples format for new streams: the highest both ends know; undefined if there is none. */
  get format(): number | undefined {
    return this.#format;
  }

  /** Entries of the current epoch that this hub holds. */
  get offset(): number {
    return this.#hub === undefined ? 0 : this.#log.acknowledgedOffset(this.#hub);
  }

  /** Notes that the hub now holds `offset` entries. It only grows, save by `adopt`. */
  advance(offset: number): void {
    if (this.#hub !== undefined && offset > this.offset) {
      this.#log.setAcknowledgedOffset(this.#hub, offset);
    }
  }

  /**
   * Takes over what a hub says it holds: forgets what it has answered for, goes on in the
   * dictionary where it stands, and gives the epoch a new name where the two logs differ.
   */
  adopt(state: HubState): void {
    if (this.#hub !== undefined && this.#hub !== state.hub) {
      countOne(this.#stats.events, 'hub changed');
      this.#logger.warn(
        { hub: state.hub.toString(16), before: this.#hub.toString(16) },
        'another hub answers under this URL, or the hub has lost its data_dir',
      );
    }
    this.#hub = state.hub;
    const known = state.formats.filter((format) => sampleFormats.has(format));
    this.#format = known.length === 0 ? undefined : Math.max(...known);
    this.#compareDictionary(state);
    for (const { tenant, answered } of state.tenants) {
      this.#stats.resumed += this.#log.acknowledge(tenant, answered, {
        hub: state.hub,
        offset: this.offset,
      });
    }
  }

  #compareDictionary({ hub, epochs, reason }: HubState): void {
    const theirs = epochs.find(({ epoch }) => epoch === this.#log.epoch);
    if (theirs === undefined) {
      this.#log.setAcknowledgedOffset(hub, 0);
      return;
    }
    // Beyond the end of our log there is no hash: the hub got its copy from another copy of us.
    if (reason !== 'diverged' && this.#log.chainHash(theirs.offset) === theirs.hash) {
      this.#log.setAcknowledgedOffset(hub, theirs.offset);
      return;
    }
    countOne(this.#stats.events, 'diverged');
    this.#log.renameEpoch(this.#random);
    this.#logger.warn(
      { hub: hub.toString(16), theirs: theirs.offset, ours: this.#log.dictionaryLength },
      'the hub holds another dictionary under our epoch (was data_dir restored from a copy?): ' +
        'a new epoch is opened and the dictionary sent again',
    );
  }

  /**
   * The dictionary from entry `from` on, at most about `bytesMax` of it (one entry at least).
   * `end` is the entry behind the part.
   */
  part(from: number, bytesMax: number): { part: DictionaryPart; end: number } {
    const writer = new ByteWriter();
    let end = from;
    for (const entry of this.#log.entries(from)) {
      if (writer.length > 0 && writer.length + entry.length > bytesMax) break;
      writer.varint(entry.length);
      writer.raw(entry);
      end++;
    }
    const hash = this.#log.chainHash(from);
    assert(hash !== undefined, 'a part of the dictionary beyond its end');
    return { part: { offset: from, hash, entries: writer.finish() }, end };
  }
}

import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import { CHAIN_START, extendChain } from '../../proto/hash-chain.ts';
import { DamagedBufferError } from './damage.ts';
import type { BufferDatabase } from './database.ts';

/** Row overhead of an entry, for the estimate before it is written. */
const ROW_BYTES = 64;

/**
 * The durable dictionary log of one epoch, and how much of it each hub has said to hold.
 *
 * Ids are given out before they are durable: entries whose commit fails stay `taken` and go with
 * the next one, so the log never has a gap. The name of the epoch is written with them: a disk that
 * takes nothing puts a new epoch or a new name off, and stops nobody.
 */
export class Dictionary {
  readonly key: number;
  readonly #db: BufferDatabase;
  #epoch: bigint;
  /** The name that the database has for the epoch. */
  #storedEpoch: bigint | undefined;
  #length = 0;
  #hash = CHAIN_START;
  /** Only in memory: a hub is asked what it holds before anything is sent to it. */
  readonly #acknowledged = new Map<bigint, number>();
  #taken: Uint8Array[] = [];
  #takenBytes = 0;

  /**
   * Opens the log of an epoch that the database lists, and checks the hash chain over its entries;
   * or begins one, which the database has from the first `write` on.
   *
   * @throws DamagedBufferError
   */
  constructor(
    db: BufferDatabase,
    { key, epoch }: { key: number; epoch: bigint },
    state: 'stored' | 'new' = 'stored',
  ) {
    this.#db = db;
    this.key = key;
    this.#epoch = epoch;
    if (state === 'new') return;
    this.#storedEpoch = epoch;
    this.#verify();
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  /** Durable entries. */
  get length(): number {
    return this.#length;
  }

  /** What the entries that wait for a commit will occupy, about. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Takes entries over for the next commit. */
  take({ firstId, entries }: { firstId: number; entries: readonly Uint8Array[] }): void {
    assert(firstId === this.#length + this.#taken.length, 'dictionary entries out of order');
    for (const entry of entries) {
      this.#taken.push(entry);
      this.#takenBytes += entry.length + ROW_BYTES;
    }
  }

  /** Whether the database has the epoch under its present name. */
  get isNameStored(): boolean {
    return this.#storedEpoch === this.#epoch;
  }

  /** Writes the name; inside a transaction, to be followed by the function it returns. */
  writeName(): () => void {
    const epoch = this.#epoch;
    if (!this.isNameStored) this.#db.logs.putEpoch(this.key, epoch);
    return () => {
      this.#storedEpoch = epoch;
    };
  }

  /** Writes what was taken; inside a transaction, to be followed by the function it returns. */
  write(): () => void {
    const named = this.writeName();
    let hash = this.#hash;
    this.#taken.forEach((entry, index) => {
      hash = extendChain(hash, entry);
      this.#db.logs.addEntry(this.key, this.#length + index, hash, entry);
    });
    return () => {
      named();
      this.#length += this.#taken.length;
      this.#hash = hash;
      this.#taken = [];
      this.#takenBytes = 0;
    };
  }

  /** Chain hash after the first `offset` entries, undefined beyond the end. */
  chainHash(offset: number): bigint | undefined {
    if (offset === this.#length) return this.#hash;
    return offset === 0 ? CHAIN_START : this.#db.logs.entryHash(this.key, offset - 1);
  }

  /** The durable entry `id`. */
  entry(id: number): Uint8Array | undefined {
    return this.#db.logs.entry(this.key, id);
  }

  /** Durable entries from id `from` on. */
  *entries(from = 0): Generator<Uint8Array> {
    for (const { entry } of this.#db.logs.entries(this.key, from)) yield entry;
  }

  /** Entries that a hub has said to hold, since this process has heard from it. */
  acknowledgedOffset(hub: bigint): number {
    return this.#acknowledged.get(hub) ?? 0;
  }

  setAcknowledgedOffset(hub: bigint, offset: number): void {
    this.#acknowledged.set(hub, offset);
  }

  /**
   * Gives the log a new name because a hub knows another log under the old one. The ids keep their
   * meaning, so no segment is touched; every hub gets the whole log again. The name is stored later:
   * whoever crashes before that meets the old one, and the same hub, once more.
   */
  rename(random: Random): void {
    this.#epoch = random.id64();
    this.#acknowledged.clear();
  }

  #verify(): void {
    for (const { hash, entry } of this.#db.logs.entries(this.key, 0)) {
      this.#hash = extendChain(this.#hash, entry);
      if (hash !== this.#hash) {
        throw new DamagedBufferError(`the dictionary is damaged at entry ${this.#length}`);
      }
      this.#length++;
    }
  }
}

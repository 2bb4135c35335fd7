import { DecodeError } from '../../proto/bytes.ts';
import { CHAIN_START, extendChain } from '../../proto/hash-chain.ts';

/** The labels behind the ids, as the expansion needs them. */
export interface SeriesCopy {
  readonly length: number;
  append(entry: Uint8Array): { kind: 'appended' } | { kind: 'malformed'; message: string };
  truncate(length: number): void;
  /** Canonical MetricMetadata by family, of a tenant as the agent names it. */
  metadata(named: string): ReadonlyMap<string, Uint8Array>;
}

/** What a part of the agent's log means for the copy. */
export type PartVerdict =
  /** `entries`: those the copy did not have, already appended to it in memory. */
  | { kind: 'fits'; firstId: number; entries: Uint8Array[] }
  /** The part starts beyond the end of the copy. */
  | { kind: 'behind' }
  /** Under the same ids the copy holds other entries. */
  | { kind: 'diverged' };

/**
 * The hub's copy of one agent's dictionary log of one epoch, with the chain hash after every
 * entry: whatever part of the log an agent states, the hub can tell whether it is the same log.
 */
export class DictionaryLog<Copy extends SeriesCopy> {
  readonly copy: Copy;
  /** Chain hash after entry `id`. */
  #hashes = new BigUint64Array(1024);

  constructor(copy: Copy) {
    this.copy = copy;
  }

  get offset(): number {
    return this.copy.length;
  }

  /** Chain hash of the first `offset` entries; only up to `this.offset`. */
  hashAt(offset: number): bigint {
    return offset === 0 ? CHAIN_START : this.#hashes[offset - 1]!;
  }

  /**
   * Compares the entries from `offset` on, where the chain hash is `hash`, with the copy and
   * appends what is new.
   *
   * @throws DecodeError when the part is malformed; the copy is then as it was
   */
  take(offset: number, hash: bigint, stated: readonly Uint8Array[]): PartVerdict {
    const firstId = this.offset;
    if (offset > firstId) return { kind: 'behind' };
    if (hash !== this.hashAt(offset)) return { kind: 'diverged' };
    const known = stated.slice(0, firstId - offset);
    if (known.reduce(extendChain, hash) !== this.hashAt(offset + known.length)) {
      return { kind: 'diverged' };
    }
    const entries = stated.slice(firstId - offset);
    try {
      for (const entry of entries) this.append(entry);
    } catch (error) {
      this.copy.truncate(firstId);
      throw error;
    }
    return { kind: 'fits', firstId, entries };
  }

  /** @throws DecodeError */
  append(entry: Uint8Array): void {
    const id = this.offset;
    const chain = extendChain(this.hashAt(id), entry);
    const result = this.copy.append(entry);
    if (result.kind === 'malformed') throw new DecodeError(`dictionary: ${result.message}`);
    if (id === this.#hashes.length) {
      const grown = new BigUint64Array(id * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[id] = chain;
  }
}

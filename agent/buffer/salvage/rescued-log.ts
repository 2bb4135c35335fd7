import { encodeSeriesEntry } from '../../../proto/dictionary-entry.ts';
import { CHAIN_START, extendChain } from '../../../proto/hash-chain.ts';
import { labelSet } from '../../../proto/label-set.ts';
import type { EntryRow } from './row-shapes.ts';

/**
 * The dictionary log of one epoch as far as its hash chain vouches for it. Each entry is checked
 * against the hashes stored before it and with it, so that a damaged one takes none of those behind
 * it along.
 */
export class RescuedLog {
  /** By id; undefined where the entry is lost. What is missing behind the last is not known. */
  readonly entries: readonly (Uint8Array | undefined)[];
  /** Entries whose own hash is damaged, so that only the next one vouches for them. */
  readonly damagedHashes: number;
  /** Entries that are damaged or missing, as far as others show that they were there. */
  readonly lost: number;

  /** @param rows the candidates for each id */
  constructor(rows: ReadonlyMap<number, readonly EntryRow[]>) {
    const { entries, damagedHashes } = verify(rows);
    this.entries = entries;
    const gaps = entries.filter((entry) => entry === undefined).length;
    const behind = rows.keys().filter((id) => id >= entries.length);
    this.lost = gaps + [...behind].length;
    this.damagedHashes = damagedHashes;
  }

  /** Whether nothing shows that an entry is lost. */
  get isWhole(): boolean {
    return this.lost === 0;
  }

  /** No id of a sample is beyond. */
  get idsMax(): number {
    return this.entries.length;
  }

  /** Whether samples with this id can be told the series of. */
  resolves(id: number): boolean {
    return this.entries[id] !== undefined;
  }

  /**
   * The log with every id in its place. Where an entry is lost stands a series that no sample
   * names: ids must neither move nor be given out again.
   */
  *dense(): Generator<Uint8Array> {
    for (const [id, entry] of this.entries.entries()) yield entry ?? placeholder(id);
  }
}

function placeholder(id: number): Uint8Array {
  const labels = labelSet({ __name__: 'starferry_damaged_series', id: String(id) });
  return encodeSeriesEntry('', labels);
}

function verify(rows: ReadonlyMap<number, readonly EntryRow[]>) {
  const entries: (Uint8Array | undefined)[] = [];
  let damagedHashes = 0;
  // What the hash before the next entry can be: what its bytes add up to, or what was stored.
  let before = [CHAIN_START];
  let expected = 0;
  for (const id of [...rows.keys()].sort((a, b) => a - b)) {
    if (id < 0) continue;
    if (id !== expected) before = id === 0 ? [CHAIN_START] : [];
    const candidates = rows.get(id)!;
    const found = fitting(before, candidates, rows.get(id + 1) ?? []);
    if (found === undefined) before = candidates.map(({ hash }) => hash);
    else {
      while (entries.length < id) entries.push(undefined);
      entries.push(found.entry);
      before = [found.hash];
      if (!candidates.some(({ hash }) => hash === found.hash)) damagedHashes++;
    }
    expected = id + 1;
  }
  return { entries, damagedHashes };
}

/** The candidate that the chain vouches for: by its own hash or, where that is damaged, the next. */
function fitting(
  before: readonly bigint[],
  candidates: readonly EntryRow[],
  next: readonly EntryRow[],
): { entry: Uint8Array; hash: bigint } | undefined {
  for (const { entry } of candidates) {
    for (const start of before) {
      const hash = extendChain(start, entry);
      const isStored = candidates.some((row) => row.hash === hash);
      if (isStored || next.some((row) => extendChain(hash, row.entry) === row.hash)) {
        return { entry, hash };
      }
    }
  }
  return undefined;
}

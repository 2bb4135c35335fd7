import type Database from 'better-sqlite3';
import { DamagedBufferError } from './damage.ts';
import { hex } from './hex.ts';

/** SQL of the dictionary logs; the transactions are those of BufferDatabase. */
export class DictionaryTable {
  readonly #statements;

  constructor(db: Database.Database) {
    const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
    this.#statements = {
      epochs: sql('SELECT key, epoch FROM epochs ORDER BY key'),
      addEpoch: sql('INSERT INTO epochs (epoch) VALUES (?)'),
      putEpoch: sql(
        'INSERT INTO epochs (key, epoch) VALUES (?, ?) ' +
          'ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch',
      ),
      removeEpoch: sql('DELETE FROM epochs WHERE key = ?'),
      removeEntries: sql(
        'DELETE FROM dictionary WHERE epoch = ? AND id IN ' +
          '(SELECT id FROM dictionary WHERE epoch = ? ORDER BY id DESC LIMIT ?)',
      ),
      addEntry: sql('INSERT INTO dictionary (epoch, id, hash, entry) VALUES (?, ?, ?, ?)'),
      entries: sql(
        'SELECT hash, entry FROM dictionary WHERE epoch = ? AND id >= ? ORDER BY id',
      ).safeIntegers(),
      entry: sql('SELECT entry FROM dictionary WHERE epoch = ? AND id = ?'),
      entryHash: sql('SELECT hash FROM dictionary WHERE epoch = ? AND id = ?').safeIntegers(),
    };
  }

  /**
   * Epochs that are still referred to, oldest first; the last one is the current one.
   *
   * @throws DamagedBufferError
   */
  epochs(): { key: number; epoch: bigint }[] {
    const rows = this.#statements.epochs.all() as { key: number; epoch: string }[];
    return rows.map(({ key, epoch }) => {
      if (!/^[0-9a-f]{16}$/.test(epoch)) throw new DamagedBufferError(`epoch ${key} has no name`);
      return { key, epoch: BigInt(`0x${epoch}`) };
    });
  }

  /** Adds an epoch behind all others; returns its key. */
  addEpoch(epoch: bigint): number {
    return Number(this.#statements.addEpoch.run(hex(epoch)).lastInsertRowid);
  }

  /** Adds an epoch under a key of the caller's, or gives the one there another name. */
  putEpoch(key: number, epoch: bigint): void {
    this.#statements.putEpoch.run(key, hex(epoch));
  }

  /**
   * Deletes up to `entriesMax` entries of a log nobody refers to, and with the last the epoch. From
   * the end: what a crash leaves is a shorter log with an intact hash chain.
   */
  removeEpoch(key: number, entriesMax: number): 'gone' | 'shrunk' {
    const { changes } = this.#statements.removeEntries.run(key, key, entriesMax);
    if (changes === entriesMax) return 'shrunk';
    this.#statements.removeEpoch.run(key);
    return 'gone';
  }

  addEntry(epoch: number, id: number, hash: bigint, entry: Uint8Array): void {
    this.#statements.addEntry.run(epoch, id, BigInt.asIntN(64, hash), entry);
  }

  /** Entries of a log from id `from` on, in order. */
  *entries(epoch: number, from: number): Generator<{ hash: bigint; entry: Uint8Array }> {
    for (const row of this.#statements.entries.iterate(epoch, from)) {
      const { hash, entry } = row as { hash: bigint; entry: Buffer };
      yield { hash: BigInt.asUintN(64, hash), entry };
    }
  }

  entry(epoch: number, id: number): Uint8Array | undefined {
    const row = this.#statements.entry.get(epoch, id) as { entry: Buffer } | undefined;
    return row?.entry;
  }

  /** Chain hash behind entry `id`. */
  entryHash(epoch: number, id: number): bigint | undefined {
    const row = this.#statements.entryHash.get(epoch, id) as { hash: bigint } | undefined;
    return row && BigInt.asUintN(64, row.hash);
  }
}

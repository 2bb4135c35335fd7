import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { DamagedBufferError } from './damage.ts';
import { OpenFiles } from './open-files.ts';
import { openSqlite, PAGE_BYTES } from './schema.ts';
import type { WaitingRange } from './waiting-ledger.ts';
import type { Removal } from './witness.ts';

/** A segment as it is stored; `run` in hexadecimal, times in ms since the Unix epoch. */
export interface SegmentRow {
  tenant: string;
  /** Local key of the epoch whose ids the samples carry. */
  epoch: number;
  run: string;
  sequence: number;
  storedAt: number;
  samples: number;
  oldest: number;
  newest: number;
  body: Uint8Array;
}

export interface StoredSegment extends SegmentRow {
  id: number;
  /** Whether row and checksum agree. */
  isIntact: boolean;
}

/** Stands among the last sequences of a run for the number of its removals; no tenant's name. */
export const REMOVALS = 'removals of segments';

/** 64-bit numbers are kept as text: readable in the sqlite3 shell, no sign to think of. */
export const hex = (id: bigint): string => id.toString(16).padStart(16, '0');

/**
 * The one file that speaks SQL to the agent's buffer, once schema.ts has opened it. Calls are
 * synchronous and belong on the buffer's worker thread. A method that throws has changed nothing.
 */
export class BufferDatabase {
  readonly #db: Database.Database;
  readonly #files: OpenFiles;
  readonly #statements;

  /**
   * Opens or creates the database; `bytesMax` becomes SQLite's own page quota.
   *
   * @throws errors of SQLite; DamagedBufferError
   */
  constructor(path: string, bytesMax: number) {
    this.#db = openSqlite(path, bytesMax);
    try {
      this.#statements = prepare(this.#db);
    } catch (error) {
      // Left to the garbage collector it would delete the log of whatever is in its place by then.
      this.#db.close();
      throw error;
    }
    this.#files = new OpenFiles(path);
  }

  /** What somebody else has done to the files, if anybody has. */
  foreignChange(): string | undefined {
    return this.#files.change();
  }

  /** What is wrong with the structure of the file; reads all of it, about a second per GB. */
  problem(): string | undefined {
    const found = this.#db.pragma('integrity_check(1)', { simple: true }) as string;
    return found === 'ok' ? undefined : found;
  }

  /** Copies everything into a new file, from wherever the open files are now; synced. */
  copyInto(path: string): void {
    this.#db.prepare('VACUUM INTO ?').run(path);
  }

  /** Everything inside is committed and synced together, or nothing is. */
  transaction<T>(work: () => T): T {
    const change = this.#files.change();
    if (change !== undefined) throw new DamagedBufferError(change);
    try {
      return this.#db.transaction(work).immediate();
    } finally {
      this.#files.note();
    }
  }

  /** Bytes in use by rows, without the free pages that the file keeps. */
  usedBytes(): number {
    const pages = this.#db.pragma('page_count', { simple: true }) as number;
    const free = this.#db.pragma('freelist_count', { simple: true }) as number;
    return (pages - free) * PAGE_BYTES;
  }

  /** Gives up to `pages` free pages back to the file system; cheap, for idle moments. */
  shrink(pages: number): void {
    this.#db.pragma(`incremental_vacuum(${pages})`);
    this.#files.note();
  }

  // Epochs and the dictionary log.

  /** Epochs that are still referred to, oldest first; the last one is the current one. */
  epochs(): { key: number; epoch: bigint }[] {
    const rows = this.#statements.epochs.all() as { key: number; epoch: string }[];
    return rows.map(({ key, epoch }) => {
      if (!/^[0-9a-f]{16}$/.test(epoch)) throw new DamagedBufferError(`epoch ${key} has no name`);
      return { key, epoch: BigInt(`0x${epoch}`) };
    });
  }

  addEpoch(epoch: bigint): number {
    const { addEpoch } = this.#statements;
    return this.transaction(() => Number(addEpoch.run(hex(epoch)).lastInsertRowid));
  }

  /** Gives an epoch another name. */
  renameEpoch(key: number, epoch: bigint): void {
    this.transaction(() => this.#statements.renameEpoch.run(hex(epoch), key));
  }

  /**
   * Deletes up to `entriesMax` entries of a log nobody refers to, and with the last the epoch. From
   * the end: what a crash leaves is a shorter log with an intact hash chain.
   */
  removeEpoch(key: number, entriesMax: number): 'gone' | 'shrunk' {
    return this.transaction(() => {
      const { changes } = this.#statements.removeEntries.run(key, key, entriesMax);
      if (changes === entriesMax) return 'shrunk';
      this.#statements.removeEpoch.run(key);
      return 'gone';
    });
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

  // The sample log.

  addSegment(row: SegmentRow): void {
    this.#statements.addSegment.run({ ...row, crc: rowChecksum(row) });
    this.#statements.setHead.run(row.run, row.tenant, row.sequence);
  }

  /** Segments of a tenant in the order in which they were stored, oldest first. */
  *segments(tenant: string): Generator<StoredSegment> {
    for (const row of this.#statements.segments.iterate(tenant)) {
      const segment = row as Omit<StoredSegment, 'isIntact'> & { crc: number };
      yield { ...segment, isIntact: rowChecksum(segment) === segment.crc };
    }
  }

  /** Segments whose row and checksum do not agree, without their bodies. */
  *damagedSegments(): Generator<Omit<StoredSegment, 'body'>> {
    for (const row of this.#statements.allSegments.iterate()) {
      const { body, ...rest } = row as StoredSegment & { crc: number };
      if (rowChecksum({ ...rest, body }) !== rest.crc) yield { ...rest, isIntact: false };
    }
  }

  /** What waits, by tenant and run, the oldest run first. From the rows, not from an index. */
  waiting(): (WaitingRange & { tenant: string })[] {
    return this.#statements.waiting.all() as (WaitingRange & { tenant: string })[];
  }

  /** Samples of all segments. */
  samples(): number {
    return (this.#statements.samples.get() as { samples: number }).samples;
  }

  /** Segments of a range of sequences, ascending. */
  segmentsIn(
    tenant: string,
    { run, first, last }: Pick<WaitingRange, 'run' | 'first' | 'last'>,
  ): { sequence: number; samples: number }[] {
    const rows = this.#statements.segmentsIn.all(tenant, run, first, last);
    return rows as { sequence: number; samples: number }[];
  }

  /** Whether a segment refers to the epoch. Looks at every row only once none does. */
  isEpochInUse(key: number): boolean {
    return this.#statements.segmentOfEpoch.get(key) !== undefined;
  }

  lastSegmentId(): number {
    return (this.#statements.lastSegmentId.get() as { id: number | null }).id ?? 0;
  }

  oldestTimestamp(): number | undefined {
    return (this.#statements.oldest.get() as { oldest: number } | undefined)?.oldest;
  }

  /** The ranges that hold segments, with their samples. */
  removalsIn(tenant: string, ranges: readonly PositionRange[]): Removal[] {
    return ranges.flatMap(({ run: runId, first, last }) => {
      const run = hex(runId);
      const row = this.#statements.rangeSamples.get(tenant, run, first, last);
      const { samples } = row as { samples: number };
      return samples === 0 ? [] : [{ tenant, run, first, last, samples }];
    });
  }

  removeRange({ tenant, run, first, last }: Removal): void {
    this.#statements.removeRange.run(tenant, run, first, last);
  }

  /** How often a run has removed segments; to be committed with the removal. */
  setRemovals(run: string, count: number): void {
    this.#statements.setHead.run(run, REMOVALS, count);
  }

  removeSegment(id: number): void {
    this.#statements.removeSegment.run(id);
  }

  /** Moves a row whose checksum does not fit aside, where it is kept for inspection. */
  setAside(id: number): void {
    this.transaction(() => {
      this.#statements.copyDamaged.run(id);
      this.#statements.removeSegment.run(id);
    });
  }

  /** Oldest segments over all tenants; the body is not read. */
  *oldestSegments(): Generator<Omit<StoredSegment, 'body' | 'isIntact'>> {
    for (const row of this.#statements.oldestSegments.iterate()) {
      yield row as Omit<StoredSegment, 'body' | 'isIntact'>;
    }
  }

  // What former runs left: last sequences, to be compared with the high-water file.

  heads(): { run: string; tenant: string; last: number }[] {
    return this.#statements.heads.all() as { run: string; tenant: string; last: number }[];
  }

  forgetHeads(): void {
    this.transaction(() => this.#statements.forgetHeads.run());
  }

  close(): void {
    this.#db.close();
  }
}

/** Over everything that decides what the samples mean: a flipped bit passes integrity_check. */
export function rowChecksum(row: SegmentRow): number {
  const { tenant, epoch, run, sequence, samples } = row;
  return crc32(row.body, crc32(`${tenant}\0${epoch}\0${run}\0${sequence}\0${samples}`));
}

function prepare(db: Database.Database) {
  const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
  return {
    epochs: sql('SELECT key, epoch FROM epochs ORDER BY key'),
    removeEpoch: sql('DELETE FROM epochs WHERE key = ?'),
    removeEntries: sql(
      'DELETE FROM dictionary WHERE epoch = ? AND id IN ' +
        '(SELECT id FROM dictionary WHERE epoch = ? ORDER BY id DESC LIMIT ?)',
    ),
    segmentOfEpoch: sql('SELECT id FROM segments WHERE epoch = ? ORDER BY id LIMIT 1'),
    addEpoch: sql('INSERT INTO epochs (epoch) VALUES (?)'),
    renameEpoch: sql('UPDATE epochs SET epoch = ? WHERE key = ?'),
    addEntry: sql('INSERT INTO dictionary (epoch, id, hash, entry) VALUES (?, ?, ?, ?)'),
    entries: sql(
      'SELECT hash, entry FROM dictionary WHERE epoch = ? AND id >= ? ORDER BY id',
    ).safeIntegers(),
    entry: sql('SELECT entry FROM dictionary WHERE epoch = ? AND id = ?'),
    entryHash: sql('SELECT hash FROM dictionary WHERE epoch = ? AND id = ?').safeIntegers(),
    addSegment: db.prepare<unknown[]>(
      'INSERT INTO segments ' +
        '(tenant, epoch, run, sequence, stored_at, samples, oldest, newest, crc, body) VALUES ' +
        '(:tenant, :epoch, :run, :sequence, :storedAt, :samples, :oldest, :newest, :crc, :body)',
    ),
    setHead: sql(
      'INSERT INTO heads (run, tenant, last) VALUES (?, ?, ?) ' +
        'ON CONFLICT DO UPDATE SET last = excluded.last',
    ),
    segments: sql(
      'SELECT id, tenant, epoch, run, sequence, stored_at AS storedAt, samples, oldest, newest, ' +
        'crc, body FROM segments WHERE tenant = ? ORDER BY id',
    ),
    allSegments: sql(
      'SELECT id, tenant, epoch, run, sequence, stored_at AS storedAt, samples, oldest, newest, ' +
        'crc, body FROM segments NOT INDEXED ORDER BY id',
    ),
    waiting: sql(
      'SELECT tenant, run, min(sequence) AS first, max(sequence) AS last, ' +
        'sum(samples) AS samples, min(oldest) AS oldest, max(newest) AS newest ' +
        'FROM segments NOT INDEXED GROUP BY tenant, run ORDER BY min(id)',
    ),
    samples: sql('SELECT coalesce(sum(samples), 0) AS samples FROM segments NOT INDEXED'),
    segmentsIn: sql(
      'SELECT sequence, samples FROM segments ' +
        'WHERE tenant = ? AND run = ? AND sequence BETWEEN ? AND ? ORDER BY sequence',
    ),
    lastSegmentId: sql('SELECT max(id) AS id FROM segments'),
    oldest: sql('SELECT oldest FROM segments ORDER BY id LIMIT 1'),
    rangeSamples: sql(
      'SELECT coalesce(sum(samples), 0) AS samples FROM segments ' +
        'WHERE tenant = ? AND run = ? AND sequence BETWEEN ? AND ?',
    ),
    removeRange: sql(
      'DELETE FROM segments WHERE tenant = ? AND run = ? AND sequence BETWEEN ? AND ?',
    ),
    removeSegment: sql('DELETE FROM segments WHERE id = ?'),
    copyDamaged: sql('INSERT INTO damaged_segments SELECT * FROM segments WHERE id = ?'),
    oldestSegments: sql(
      'SELECT id, tenant, epoch, run, sequence, stored_at AS storedAt, samples, oldest, newest ' +
        'FROM segments ORDER BY id',
    ),
    heads: sql('SELECT run, tenant, last FROM heads'),
    forgetHeads: sql('DELETE FROM heads'),
  };
}

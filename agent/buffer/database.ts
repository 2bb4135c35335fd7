import { crc32 } from 'node:zlib';
import Database from 'better-sqlite3';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { PackTable } from './pack-table.ts';

const PAGE_BYTES = 16_384;
/** The latency of a commit grows with the write-ahead log: checkpoint at 4 MiB. */
const WAL_PAGES_MAX = 256;
/** Beyond the quota, so that the deletes that make room still find pages. */
const SPARE_PAGES = 4 * WAL_PAGES_MAX;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS epochs (key INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS dictionary (
    epoch INTEGER NOT NULL, id INTEGER NOT NULL, hash INTEGER NOT NULL, entry BLOB NOT NULL,
    PRIMARY KEY (epoch, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, epoch INTEGER NOT NULL,
    run TEXT NOT NULL, sequence INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    samples INTEGER NOT NULL, oldest REAL NOT NULL, newest REAL NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS segments_of_tenant ON segments (tenant, id);
  CREATE UNIQUE INDEX IF NOT EXISTS segments_by_position ON segments (run, tenant, sequence);
  CREATE TABLE IF NOT EXISTS damaged_segments AS SELECT * FROM segments WHERE 0;
  CREATE TABLE IF NOT EXISTS heads (
    run TEXT NOT NULL, tenant TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (run, tenant)
  ) WITHOUT ROWID;
`;

const HEAD = 'id, tenant, epoch, run, sequence, stored_at AS storedAt, samples, oldest, newest';

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

export type SegmentHead = Omit<StoredSegment, 'body' | 'isIntact'>;
type StoredRow = Omit<StoredSegment, 'isIntact'> & { crc: number };

/** 64-bit numbers are kept as text: readable in the sqlite3 shell, no sign to think of. */
export const hex = (id: bigint): string => id.toString(16).padStart(16, '0');

/**
 * The one file that speaks SQL to the agent's buffer. Calls are synchronous and belong on the
 * buffer's worker thread. A method that throws has changed nothing.
 */
export class BufferDatabase {
  readonly packs: PackTable;
  readonly #db: Database.Database;
  readonly #statements;

  /** Opens or creates the database; `bytesMax` becomes SQLite's own page quota. */
  constructor(path: string, bytesMax: number) {
    this.#db = new Database(path);
    // Set at every open: a reopened WAL database would be NORMAL, and the quota is not stored.
    this.#db.pragma(`page_size = ${PAGE_BYTES}`);
    this.#db.pragma('auto_vacuum = INCREMENTAL');
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.pragma(`wal_autocheckpoint = ${WAL_PAGES_MAX}`);
    this.#db.pragma(`journal_size_limit = ${WAL_PAGES_MAX * PAGE_BYTES}`);
    this.#db.pragma(`max_page_count = ${Math.ceil(bytesMax / PAGE_BYTES) + SPARE_PAGES}`);
    this.#db.exec(SCHEMA);
    this.packs = new PackTable(this.#db);
    this.#statements = prepare(this.#db);
  }

  /** Everything inside is committed and synced together, or nothing is. */
  transaction<T>(work: () => T): T {
    return this.#db.transaction(work).immediate();
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
  }

  // Epochs and the dictionary log.

  /** Epochs that are still referred to, oldest first; the last one is the current one. */
  epochs(): { key: number; epoch: bigint }[] {
    const rows = this.#statements.epochs.all() as { key: number; epoch: string }[];
    return rows.map(({ key, epoch }) => ({ key, epoch: BigInt(`0x${epoch}`) }));
  }

  addEpoch(epoch: bigint): number {
    return Number(this.#statements.addEpoch.run(hex(epoch)).lastInsertRowid);
  }

  /** Gives an epoch another name. */
  renameEpoch(key: number, epoch: bigint): void {
    this.#statements.renameEpoch.run(hex(epoch), key);
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
    this.setHead(row.run, row.tenant, row.sequence);
  }

  /** The last sequence that a run has given out for a tenant. */
  setHead(run: string, tenant: string, sequence: number): void {
    this.#statements.setHead.run(run, tenant, sequence);
  }

  /** Segments of a tenant with ids [from, below) in the order in which they were stored. */
  *segments(tenant: string, from: number, below: number): Generator<StoredSegment> {
    for (const row of this.#statements.segments.iterate(tenant, from, below)) {
      const segment = row as StoredRow;
      yield { ...segment, isIntact: rowChecksum(segment) === segment.crc };
    }
  }

  /** The same without their bodies, newest first where `order` is `DESC`. */
  *segmentHeads(tenant: string, from: number, order: 'ASC' | 'DESC'): Generator<SegmentHead> {
    const statement = this.#statements[order === 'ASC' ? 'headsUp' : 'headsDown'];
    for (const row of statement.iterate(tenant, from)) yield row as SegmentHead;
  }

  /** One segment; undefined when it is gone. */
  segment(id: number): StoredSegment | undefined {
    const row = this.#statements.segment.get(id) as StoredRow | undefined;
    return row && { ...row, isIntact: rowChecksum(row) === row.crc };
  }

  /** Tenants with segments: how many samples each has. */
  backlog(): { tenant: string; samples: number }[] {
    return this.#statements.backlog.all() as { tenant: string; samples: number }[];
  }

  /** Whether a segment refers to the epoch. Looks at every row only once none does. */
  isEpochInUse(key: number): boolean {
    return this.#statements.segmentOfEpoch.get(key) !== undefined;
  }

  /** The highest id that any segment has had, one that is gone or in a pack included. */
  lastSegmentId(): number {
    return (this.#statements.lastSegmentId.get() as { id: number } | undefined)?.id ?? 0;
  }

  oldestTimestamp(): number | undefined {
    return (this.#statements.oldest.get() as { oldest: number } | undefined)?.oldest;
  }

  hasSegment(id: number): boolean {
    return this.#statements.hasSegment.get(id) !== undefined;
  }

  removeSegment(id: number): void {
    this.#statements.removeSegment.run(id);
  }

  /** Removes segments; returns how many samples they held. */
  removeRange(tenant: string, { run, first, last }: PositionRange): number {
    const args = [tenant, hex(run), first, last] as const;
    const { samples } = this.#statements.rangeSamples.get(...args) as { samples: number };
    this.#statements.removeRange.run(...args);
    return samples;
  }

  /** Moves a row whose checksum does not fit aside, where it is kept for inspection. */
  setAside(id: number): void {
    this.transaction(() => {
      this.#statements.copyDamaged.run(id);
      this.#statements.removeSegment.run(id);
    });
  }

  /** Oldest segments over all tenants; the body is not read. */
  *oldestSegments(): Generator<SegmentHead> {
    for (const row of this.#statements.oldestSegments.iterate()) yield row as SegmentHead;
  }

  // What former runs left: last sequences, to be compared with the high-water file.

  heads(): { run: string; tenant: string; last: number }[] {
    return this.#statements.heads.all() as { run: string; tenant: string; last: number }[];
  }

  forgetHeads(): void {
    this.#statements.forgetHeads.run();
  }

  close(): void {
    this.#db.close();
  }
}

/** Over everything that decides what the samples mean: a flipped bit passes integrity_check. */
function rowChecksum(row: SegmentRow): number {
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
      `SELECT ${HEAD}, crc, body FROM segments WHERE tenant = ? AND id >= ? AND id < ? ORDER BY id`,
    ),
    segment: sql(`SELECT ${HEAD}, crc, body FROM segments WHERE id = ?`),
    hasSegment: sql('SELECT id FROM segments WHERE id = ?'),
    headsUp: sql(`SELECT ${HEAD} FROM segments WHERE tenant = ? AND id >= ? ORDER BY id`),
    headsDown: sql(`SELECT ${HEAD} FROM segments WHERE tenant = ? AND id >= ? ORDER BY id DESC`),
    backlog: sql('SELECT tenant, sum(samples) AS samples FROM segments GROUP BY tenant'),
    lastSegmentId: sql("SELECT seq AS id FROM sqlite_sequence WHERE name = 'segments'"),
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
    oldestSegments: sql(`SELECT ${HEAD} FROM segments ORDER BY id`),
    heads: sql('SELECT run, tenant, last FROM heads'),
    forgetHeads: sql('DELETE FROM heads'),
  };
}

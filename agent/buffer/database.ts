import type Database from 'better-sqlite3';
import { OpenFiles } from '../../base/sqlite/open-files.ts';
import { DamagedBufferError } from './damage.ts';
import { DictionaryTable } from './dictionary-table.ts';
import { DiscardTable } from './discard-table.ts';
import { PackTable } from './pack-table.ts';
import { openSqlite, PAGE_BYTES, setSchemaVersion } from './schema.ts';
import { SegmentTable } from './segment-table.ts';
import type { WaitingRange } from './waiting-ledger.ts';

/** Stands among the last sequences of a run for the number of its removals; no tenant's name. */
export const REMOVALS = 'removals of segments';

/**
 * The agent's buffer in SQLite, once schema.ts has opened it; the tables speak SQL each for
 * themselves. Calls are synchronous and belong on the buffer's worker thread. What is written
 * belongs into `transaction`; one that throws has changed nothing.
 */
export class BufferDatabase {
  readonly logs: DictionaryTable;
  readonly segments: SegmentTable;
  readonly packs: PackTable;
  /** What is not to be shipped for the time being. */
  readonly parked: PackTable;
  readonly discarded: DiscardTable;
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
      this.logs = new DictionaryTable(this.#db);
      this.segments = new SegmentTable(this.#db);
      this.packs = new PackTable(this.#db, 'packs');
      this.parked = new PackTable(this.#db, 'parked_packs');
      this.discarded = new DiscardTable(this.#db);
      this.#statements = prepare(this.#db);
      this.#files = new OpenFiles(path);
    } catch (error) {
      // Left to the garbage collector it would delete the log of whatever is in its place by then.
      this.#db.close();
      throw error;
    }
  }

  /**
   * What somebody else has done to the files, if anybody has.
   *
   * @throws errors of the file system while the files cannot be looked at
   */
  foreignChange(): string | undefined {
    return this.#files.change();
  }

  /**
   * Whether the open files lie in `folder`: whoever closes the database then loses nothing.
   *
   * @throws errors of the file system
   */
  isIn(folder: string): boolean {
    return this.#files.areIn(folder);
  }

  /** What is wrong with the structure of the file; reads all of it, about a second per GB. */
  problem(): string | undefined {
    const found = this.#db.pragma('integrity_check(1)', { simple: true }) as string;
    return found === 'ok' ? undefined : found;
  }

  /**
   * Copies everything into a new file, from wherever the open files are now; not synced. What the
   * copy holds was written by this program, whatever version somebody has put into the file.
   */
  copyInto(path: string): void {
    this.#db.prepare('VACUUM INTO ?').run(path);
    setSchemaVersion(path);
  }

  /**
   * Everything inside is committed and synced together, or nothing is.
   *
   * @throws DamagedBufferError when somebody else has touched the files; errors of SQLite and of the
   *   file system
   */
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
    try {
      this.#db.pragma(`incremental_vacuum(${pages})`);
    } finally {
      // A full disk may have taken a part: that was us, and nobody else.
      this.#files.note();
    }
  }

  /** Empties the write-ahead log into the database and gives its space back. */
  truncateLog(): void {
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)');
    } finally {
      this.#files.note();
    }
  }

  /**
   * To be called before a file is moved without its write-ahead log: SQLite closes a database that it
   * could not write back without a word.
   *
   * @throws Error when the disk does not take what is in the log; errors of SQLite
   */
  emptyLog(): void {
    const [result] = this.#db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number; log: number }[];
    if (result?.busy === 0 && result.log <= 0) return;
    throw new Error(`the disk does not take what is in the log of ${this.#db.name}`);
  }

  /** The highest id that any segment has had, one that is gone or in a pack included. */
  lastSegmentId(): number {
    return (this.#statements.lastId.get() as { id: number } | undefined)?.id ?? 0;
  }

  /** Takes the next id of the sample log for something that is no segment. */
  takeId(): number {
    const id = this.lastSegmentId() + 1;
    const { changes } = this.#statements.setLastId.run(id);
    if (changes === 0) this.#statements.addLastId.run(id);
    return id;
  }

  /** Samples that wait. */
  samples(): number {
    return this.segments.samples() + this.packs.samples() + this.parked.samples();
  }

  /** Segments of a range of sequences, those in packs included, ascending. */
  segmentsIn(
    tenant: string,
    range: Pick<WaitingRange, 'run' | 'first' | 'last'>,
  ): { sequence: number; samples: number }[] {
    const tables = [this.segments, this.packs, this.parked];
    const found = tables.flatMap((table) => table.inRange(tenant, range));
    return found.sort((one, other) => one.sequence - other.sequence);
  }

  // What former runs left: last sequences, to be compared with the high-water file.

  heads(): { run: string; tenant: string; last: number }[] {
    return this.#statements.heads.all() as { run: string; tenant: string; last: number }[];
  }

  /** The last sequence that a run has given out for a tenant. */
  setHead(run: string, tenant: string, sequence: number): void {
    this.#statements.setHead.run(run, tenant, sequence);
  }

  /** How often a run has removed samples; to be committed with the removal. */
  setRemovals(run: string, count: number): void {
    this.setHead(run, REMOVALS, count);
  }

  forgetHeads(): void {
    this.transaction(() => this.#statements.forgetHeads.run());
  }

  close(): void {
    this.#db.close();
  }
}

function prepare(db: Database.Database) {
  const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
  return {
    lastId: sql("SELECT seq AS id FROM sqlite_sequence WHERE name = 'segments'"),
    setLastId: sql("UPDATE sqlite_sequence SET seq = ? WHERE name = 'segments'"),
    addLastId: sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('segments', ?)"),
    heads: sql('SELECT run, tenant, last FROM heads'),
    setHead: sql(
      'INSERT INTO heads (run, tenant, last) VALUES (?, ?, ?) ' +
        'ON CONFLICT DO UPDATE SET last = max(last, excluded.last)',
    ),
    forgetHeads: sql('DELETE FROM heads'),
  };
}

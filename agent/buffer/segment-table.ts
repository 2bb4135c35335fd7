import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { hex } from './hex.ts';
import type { WaitingRange } from './waiting-ledger.ts';
import { type Removal, removalOf } from './witness.ts';

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

const HEAD = 'id, tenant, epoch, run, sequence, stored_at AS storedAt, samples, oldest, newest';

/** SQL of the segments; the transactions are those of BufferDatabase. */
export class SegmentTable {
  readonly #statements;

  constructor(db: Database.Database) {
    this.#statements = prepare(db);
  }

  add(row: SegmentRow): void {
    this.#statements.add.run({ ...row, crc: rowChecksum(row) });
  }

  /** Adds a row under the id that it had before. */
  put(row: SegmentRow & { id: number }): void {
    this.#statements.put.run({ ...row, crc: rowChecksum(row) });
  }

  /** Segments of a tenant with ids [from, below) in the order in which they were stored. */
  *stored(tenant: string, from: number, below: number): Generator<StoredSegment> {
    for (const row of this.#statements.stored.iterate(tenant, from, below)) {
      const segment = row as StoredRow;
      yield { ...segment, isIntact: rowChecksum(segment) === segment.crc };
    }
  }

  /** Those from id `from` on without their bodies, newest first where `order` is `DESC`. */
  *heads(tenant: string, from: number, order: 'ASC' | 'DESC'): Generator<SegmentHead> {
    const statement = this.#statements[order === 'ASC' ? 'headsUp' : 'headsDown'];
    for (const row of statement.iterate(tenant, from)) yield row as SegmentHead;
  }

  /** One segment; undefined when it is gone. */
  get(id: number): StoredSegment | undefined {
    const row = this.#statements.get.get(id) as StoredRow | undefined;
    return row && { ...row, isIntact: rowChecksum(row) === row.crc };
  }

  has(id: number, samples: number): boolean {
    return this.#statements.has.get(id, samples) !== undefined;
  }

  /** Those whose row and checksum do not agree, without their bodies. */
  *damaged(): Generator<SegmentHead> {
    for (const row of this.#statements.all.iterate()) {
      const { body, crc, ...head } = row as StoredRow;
      if (rowChecksum({ ...head, body }) !== crc) yield head;
    }
  }

  /** Over all tenants, oldest first; the body is not read. */
  *oldest(): Generator<SegmentHead> {
    for (const row of this.#statements.oldest.iterate()) yield row as SegmentHead;
  }

  /** What waits, in the order of storing. From the rows, not from an index. */
  waiting(): (WaitingRange & { tenant: string; id: number })[] {
    return this.#statements.waiting.all() as (WaitingRange & { tenant: string; id: number })[];
  }

  /** Samples of all segments. */
  samples(): number {
    return (this.#statements.samples.get() as { samples: number }).samples;
  }

  /** Segments of a range of sequences, ascending. */
  inRange(
    tenant: string,
    { run, first, last }: Pick<WaitingRange, 'run' | 'first' | 'last'>,
  ): { sequence: number; samples: number }[] {
    const rows = this.#statements.inRange.all(tenant, run, first, last);
    return rows as { sequence: number; samples: number }[];
  }

  /** Whether a segment refers to the epoch. Looks at every row only once none does. */
  isEpochInUse(key: number): boolean {
    return this.#statements.ofEpoch.get(key) !== undefined;
  }

  /** The segments in `ranges`. */
  removalsIn(tenant: string, ranges: readonly PositionRange[]): Removal[] {
    return ranges.flatMap(({ run: runId, first, last }) => {
      const run = hex(runId);
      const rows = this.#statements.inAnswered.all(tenant, run, first, last);
      return (rows as { sequence: number; samples: number }[]).map((row) =>
        removalOf({ tenant, run, ...row }),
      );
    });
  }

  removeRange({ tenant, run, first, last }: Removal): void {
    this.#statements.removeRange.run(tenant, run, first, last);
  }

  remove(id: number): void {
    this.#statements.remove.run(id);
  }

  /** Moves a row whose checksum does not fit aside, where it is kept for inspection. */
  setAside(id: number): void {
    this.#statements.copyDamaged.run(id);
    this.#statements.remove.run(id);
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
    add: sql(
      'INSERT INTO segments ' +
        '(tenant, epoch, run, sequence, stored_at, samples, oldest, newest, crc, body) VALUES ' +
        '(:tenant, :epoch, :run, :sequence, :storedAt, :samples, :oldest, :newest, :crc, :body)',
    ),
    put: sql(
      'INSERT INTO segments ' +
        '(id, tenant, epoch, run, sequence, stored_at, samples, oldest, newest, crc, body) VALUES ' +
        '(:id, :tenant, :epoch, :run, :sequence, :storedAt, :samples, :oldest, :newest, :crc, :body)',
    ),
    stored: sql(
      `SELECT ${HEAD}, crc, body FROM segments WHERE tenant = ? AND id >= ? AND id < ? ORDER BY id`,
    ),
    headsUp: sql(`SELECT ${HEAD} FROM segments WHERE tenant = ? AND id >= ? ORDER BY id`),
    headsDown: sql(`SELECT ${HEAD} FROM segments WHERE tenant = ? AND id >= ? ORDER BY id DESC`),
    get: sql(`SELECT ${HEAD}, crc, body FROM segments WHERE id = ?`),
    has: sql('SELECT id FROM segments WHERE id = ? AND samples = ?'),
    oldest: sql(`SELECT ${HEAD} FROM segments ORDER BY id`),
    waiting: sql(
      'SELECT id, tenant, run, sequence AS first, sequence AS last, samples, oldest, newest ' +
        'FROM segments NOT INDEXED ORDER BY id',
    ),
    samples: sql('SELECT coalesce(sum(samples), 0) AS samples FROM segments NOT INDEXED'),
    all: sql(`SELECT ${HEAD}, crc, body FROM segments NOT INDEXED ORDER BY id`),
    inRange: sql(
      'SELECT sequence, samples FROM segments ' +
        'WHERE tenant = ? AND run = ? AND sequence BETWEEN ? AND ? ORDER BY sequence',
    ),
    ofEpoch: sql('SELECT id FROM segments WHERE epoch = ? ORDER BY id LIMIT 1'),
    inAnswered: sql(
      'SELECT sequence, samples FROM segments ' +
        'WHERE tenant = ? AND run = ? AND sequence BETWEEN ? AND ? ORDER BY sequence',
    ),
    removeRange: sql(
      'DELETE FROM segments WHERE tenant = ? AND run = ? AND sequence BETWEEN ? AND ?',
    ),
    remove: sql('DELETE FROM segments WHERE id = ?'),
    copyDamaged: sql('INSERT INTO damaged_segments SELECT * FROM segments WHERE id = ?'),
  };
}

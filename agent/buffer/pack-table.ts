import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import type { PositionRange } from '../../proto/position-ranges.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS packs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, last_id INTEGER NOT NULL,
    first_sample INTEGER NOT NULL, tenant TEXT NOT NULL,
    epoch INTEGER NOT NULL, positions TEXT NOT NULL, stored_at INTEGER NOT NULL,
    samples INTEGER NOT NULL, oldest REAL NOT NULL, newest REAL NOT NULL,
    format INTEGER NOT NULL, head_crc INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS damaged_packs AS SELECT * FROM packs WHERE 0;
`;
const HEAD =
  'key, id, last_id AS lastId, first_sample AS firstSample, tenant, epoch, positions, stored_at AS storedAt, samples, oldest, ' +
  'newest, format, length(body) AS bytes, head_crc AS headCrc, crc';

/** What is known of a pack without reading its body; times in ms since the Unix epoch. */
export interface PackHead {
  /** Names the row. */
  key: number;
  /** Ids of the first and the last segment in it: its place in the sample log. */
  id: number;
  lastId: number;
  /**
   * The place among the parts of a pack that was split: samples of the whole before this part. The
   * ids in between would be no places: they are those of other tenants as well.
   */
  firstSample: number;
  tenant: string;
  /** Local key of the epoch whose ids the samples carry. */
  epoch: number;
  /** Of the segments in it, in order. */
  positions: PositionRange[];
  /** When the newest of its segments was stored. */
  storedAt: number;
  samples: number;
  oldest: number;
  newest: number;
  /** Samples format of the body, see proto/pack.ts. */
  format: number;
  bytes: number;
}

export type PackRow = Omit<PackHead, 'key' | 'bytes'> & { body: Uint8Array };

/** What differs between the packs that one pack is split into. */
export type PackPart = Pick<PackRow, 'samples' | 'oldest' | 'newest' | 'format' | 'body'>;

/** The order of the sample log. */
export function comparePlaces(
  one: Pick<PackHead, 'id' | 'firstSample'>,
  other: Pick<PackHead, 'id' | 'firstSample'>,
): number {
  return one.id - other.id || one.firstSample - other.firstSample;
}

interface StoredHead extends Omit<PackHead, 'positions'> {
  positions: string;
  headCrc: number;
  /** Over the body, begun with that over the head. */
  crc: number;
}

/** SQL of the packs; the transactions are those of BufferDatabase. */
export class PackTable {
  readonly #statements;

  constructor(db: Database.Database) {
    db.exec(SCHEMA);
    const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
    this.#statements = {
      heads: sql(`SELECT ${HEAD} FROM packs ORDER BY id, first_sample`),
      row: sql(`SELECT ${HEAD}, body FROM packs WHERE key = ?`),
      add: sql(
        'INSERT INTO packs (id, last_id, first_sample, tenant, epoch, positions, stored_at, ' +
          'samples, oldest, newest, format, head_crc, crc, body) VALUES (:id, :lastId, ' +
          ':firstSample, :tenant, :epoch, :positions, :storedAt, :samples, :oldest, :newest, :format, :headCrc, :crc, :body)',
      ),
      remove: sql('DELETE FROM packs WHERE key = ?'),
      copyDamaged: sql('INSERT INTO damaged_packs SELECT * FROM packs WHERE key = ?'),
    };
  }

  /**
   * All packs in the order of the sample log. The head alone decides what an answer is for and whose
   * the ids are, before any body is read: of a damaged one nothing may be believed.
   */
  heads(): { intact: PackHead[]; damaged: PackHead[] } {
    const heads = { intact: [] as PackHead[], damaged: [] as PackHead[] };
    for (const stored of this.#statements.heads.all() as StoredHead[]) {
      const { headCrc, crc: _, ...head } = stored;
      const isIntact = headChecksum(stored) === headCrc;
      const pack = { ...head, positions: readPositions(head.positions) };
      heads[isIntact ? 'intact' : 'damaged'].push(pack);
    }
    return heads;
  }

  add(pack: PackRow): PackHead {
    const positions = writePositions(pack.positions);
    const headCrc = headChecksum({ ...pack, positions });
    const crc = crc32(pack.body, headCrc);
    const { lastInsertRowid } = this.#statements.add.run({ ...pack, positions, headCrc, crc });
    const { body, ...head } = pack;
    return { ...head, key: Number(lastInsertRowid), bytes: body.length };
  }

  /** The body of a pack; undefined when row and checksum do not agree. */
  body(key: number): Uint8Array | undefined {
    const row = this.#statements.row.get(key) as (StoredHead & { body: Buffer }) | undefined;
    return row !== undefined && crc32(row.body, headChecksum(row)) === row.crc
      ? row.body
      : undefined;
  }

  remove(key: number): void {
    this.#statements.remove.run(key);
  }

  /** Moves a pack that is not what was written aside, where it is kept for inspection. */
  setAside(key: number): void {
    this.#statements.copyDamaged.run(key);
    this.#statements.remove.run(key);
  }
}

/** Over everything that decides what the samples mean and what their answer is for. */
function headChecksum(head: Omit<StoredHead, 'key' | 'bytes' | 'headCrc' | 'crc'>): number {
  const { tenant, epoch, positions, samples, format } = head;
  const place = `${head.id}\0${head.lastId}\0${head.firstSample}`;
  return crc32(`${tenant}\0${epoch}\0${positions}\0${samples}\0${format}\0${place}`);
}

/** `run:first-last`, separated by blanks: readable in the sqlite3 shell. */
function writePositions(ranges: readonly PositionRange[]): string {
  return ranges.map(({ run, first, last }) => `${run.toString(16)}:${first}-${last}`).join(' ');
}

/** What does not read as a range is left out: the checksum says that the text is damaged. */
function readPositions(text: string): PositionRange[] {
  return Array.from(text.matchAll(/([0-9a-f]{1,16}):(\d{1,15})-(\d{1,15})/g), (match) => {
    return { run: BigInt(`0x${match[1]}`), first: Number(match[2]), last: Number(match[3]) };
  });
}

import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { WaitingRange } from './waiting-ledger.ts';

const HEAD =
  'key, id, last_id AS lastId, first_sample AS firstSample, tenant, epoch, positions, ' +
  'stored_at AS storedAt, samples, oldest, newest, format, length(body) AS bytes, head_crc AS headCrc, crc';

/** Segments side by side in a pack. */
export interface PackRange extends PositionRange {
  /** Samples of each of them. */
  counts: number[];
}

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
  positions: PackRange[];
  /** When the newest of its segments was stored. */
  storedAt: number;
  samples: number;
  oldest: number;
  newest: number;
  /** Samples format of the body, see proto/pack.ts. */
  format: number;
  bytes: number;
}

/** What a pack takes beside its body, about: its row in the file, and its head in memory. */
const PACK_ROW_BYTES = 512;

/** What a pack takes, about. */
export function packBytes({ bytes }: Pick<PackHead, 'bytes'>): number {
  return bytes + PACK_ROW_BYTES;
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

/** SQL of packs: those that are shipped, or those that are parked. See BufferDatabase. */
export class PackTable {
  readonly #statements;

  constructor(db: Database.Database, table: 'packs' | 'parked_packs') {
    const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
    this.#statements = {
      heads: sql(`SELECT ${HEAD} FROM ${table} ORDER BY id, first_sample`),
      ofTenant: sql(`SELECT ${HEAD} FROM ${table} WHERE tenant = ? ORDER BY id, first_sample`),
      all: sql(`SELECT ${HEAD}, body FROM ${table} ORDER BY id, first_sample`),
      samples: sql(`SELECT coalesce(sum(samples), 0) AS samples FROM ${table}`),
      row: sql(`SELECT ${HEAD}, body FROM ${table} WHERE key = ?`),
      add: sql(
        `INSERT INTO ${table} (id, last_id, first_sample, tenant, epoch, positions, stored_at, ` +
          'samples, oldest, newest, format, head_crc, crc, body) VALUES (:id, :lastId, ' +
          ':firstSample, :tenant, :epoch, :positions, :storedAt, :samples, :oldest, :newest, ' +
          ':format, :headCrc, :crc, :body)',
      ),
      remove: sql(`DELETE FROM ${table} WHERE key = ?`),
      copyDamaged: sql(`INSERT INTO damaged_packs SELECT * FROM ${table} WHERE key = ?`),
    };
  }

  /**
   * All packs in the order of the sample log. The head alone decides what an answer is for and whose
   * the ids are, before any body is read: of a damaged one nothing may be believed.
   */
  heads(): { intact: PackHead[]; damaged: PackHead[] } {
    const heads = { intact: [] as PackHead[], damaged: [] as PackHead[] };
    for (const stored of this.#statements.heads.all() as StoredHead[]) {
      heads[isIntact(stored) ? 'intact' : 'damaged'].push(readHead(stored));
    }
    return heads;
  }

  /** Packs of which head or body is not what was written. */
  *damaged(): Generator<PackHead> {
    for (const row of this.#statements.all.iterate()) {
      const { body, ...stored } = row as StoredHead & { body: Buffer };
      const isWhole = isIntact(stored) && crc32(body, stored.headCrc) === stored.crc;
      if (!isWhole) yield readHead(stored);
    }
  }

  /** Samples of all packs. */
  samples(): number {
    return (this.#statements.samples.get() as { samples: number }).samples;
  }

  /** Segments of a range of sequences that are in packs. */
  inRange(
    tenant: string,
    { run, first, last }: Pick<WaitingRange, 'run' | 'first' | 'last'>,
  ): { sequence: number; samples: number }[] {
    const packs = (this.#statements.ofTenant.all(tenant) as StoredHead[]).filter(isIntact);
    return packs
      .map(readHead)
      .flatMap(({ positions }) => positions)
      .filter((range) => range.run === BigInt(`0x${run}`))
      .flatMap((range) =>
        range.counts.map((samples, index) => ({ sequence: range.first + index, samples })),
      )
      .filter(({ sequence }) => first <= sequence && sequence <= last);
  }

  add(pack: PackRow): PackHead {
    const positions = writePositions(pack.positions);
    const headCrc = packHeadChecksum({ ...pack, positions });
    const crc = crc32(pack.body, headCrc);
    const { lastInsertRowid } = this.#statements.add.run({ ...pack, positions, headCrc, crc });
    const { body, ...head } = pack;
    return { ...head, key: Number(lastInsertRowid), bytes: body.length };
  }

  /** The body of a pack; undefined when row and checksum do not agree. */
  body(key: number): Uint8Array | undefined {
    const row = this.#statements.row.get(key) as (StoredHead & { body: Buffer }) | undefined;
    if (row === undefined) return undefined;
    return crc32(row.body, packHeadChecksum(row)) === row.crc ? row.body : undefined;
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

function isIntact(stored: StoredHead): boolean {
  return packHeadChecksum(stored) === stored.headCrc;
}

function readHead({ crc: _, headCrc: __, ...head }: StoredHead): PackHead {
  return { ...head, positions: readPositions(head.positions) };
}

/** Over everything that decides what the samples mean and what their answer is for. */
export function packHeadChecksum(
  head: Omit<StoredHead, 'key' | 'bytes' | 'storedAt' | 'oldest' | 'newest' | 'headCrc' | 'crc'>,
): number {
  const { tenant, epoch, positions, samples, format } = head;
  const place = `${head.id}\0${head.lastId}\0${head.firstSample}`;
  return crc32(`${tenant}\0${epoch}\0${positions}\0${samples}\0${format}\0${place}`);
}

/** `run:first=samples,samples,…`, separated by blanks: readable in the sqlite3 shell. */
function writePositions(ranges: readonly PackRange[]): string {
  return ranges
    .map(({ run, first, counts }) => `${run.toString(16)}:${first}=${counts.join(',')}`)
    .join(' ');
}

/** What does not read as a range is left out: the checksum says that the text is damaged. */
export function readPositions(text: string): PackRange[] {
  return Array.from(text.matchAll(/([0-9a-f]{1,16}):(\d{1,15})=([\d,]+)/g), (match) => {
    const counts = match[3]!.split(',').map(Number);
    const first = Number(match[2]);
    return { run: BigInt(`0x${match[1]}`), first, last: first + counts.length - 1, counts };
  });
}

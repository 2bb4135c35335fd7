import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { WaitingRange } from './waiting-ledger.ts';

const HEAD =
  'id, last_id AS lastId, tenant, epoch, positions, stored_at AS storedAt, samples, oldest, ' +
  'newest, format, length(body) AS bytes, head_crc AS headCrc, crc';

/** Segments side by side in a pack. */
export interface PackRange extends PositionRange {
  /** Samples of each of them. */
  counts: number[];
}

/** What is known of a pack without reading its body; times in ms since the Unix epoch. */
export interface PackHead {
  /** Ids of the first and the last segment in it: its place in the sample log. */
  id: number;
  lastId: number;
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

export type PackRow = Omit<PackHead, 'bytes'> & { body: Uint8Array };

/** What differs between the packs that one pack is split into. */
export type PackPart = Pick<PackRow, 'samples' | 'oldest' | 'newest' | 'format' | 'body'>;

export function headOf({ body, ...head }: PackRow): PackHead {
  return { ...head, bytes: body.length };
}

interface StoredHead extends Omit<PackHead, 'positions'> {
  positions: string;
  headCrc: number;
  /** Over the body, begun with that over the head. */
  crc: number;
}

/** SQL of packs, those that are shipped or those that are parked; see BufferDatabase for transactions. */
export class PackTable {
  readonly #statements;

  constructor(db: Database.Database, table: 'packs' | 'parked_packs') {
    const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
    this.#statements = {
      heads: sql(`SELECT ${HEAD} FROM ${table} ORDER BY id`),
      ofTenant: sql(`SELECT ${HEAD} FROM ${table} WHERE tenant = ? ORDER BY id`),
      samples: sql(`SELECT coalesce(sum(samples), 0) AS samples FROM ${table}`),
      row: sql(`SELECT ${HEAD}, body FROM ${table} WHERE id = ?`),
      add: sql(
        `INSERT INTO ${table} (id, last_id, tenant, epoch, positions, stored_at, samples, oldest, ` +
          'newest, format, head_crc, crc, body) VALUES (:id, :lastId, :tenant, :epoch, ' +
          ':positions, :storedAt, :samples, :oldest, :newest, :format, :headCrc, :crc, :body)',
      ),
      remove: sql(`DELETE FROM ${table} WHERE id = ?`),
      copyDamaged: sql(`INSERT INTO damaged_packs SELECT * FROM ${table} WHERE id = ?`),
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

  add(pack: PackRow): void {
    const positions = writePositions(pack.positions);
    const headCrc = packHeadChecksum({ ...pack, positions });
    this.#statements.add.run({ ...pack, positions, headCrc, crc: crc32(pack.body, headCrc) });
  }

  /** The body of a pack; undefined when row and checksum do not agree. */
  body(id: number): Uint8Array | undefined {
    const row = this.#statements.row.get(id) as (StoredHead & { body: Buffer }) | undefined;
    if (row === undefined) return undefined;
    return crc32(row.body, packHeadChecksum(row)) === row.crc ? row.body : undefined;
  }

  remove(id: number): void {
    this.#statements.remove.run(id);
  }

  /** Moves a pack that is not what was written aside, where it is kept for inspection. */
  setAside(id: number): void {
    this.#statements.copyDamaged.run(id);
    this.#statements.remove.run(id);
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
  head: Pick<StoredHead, 'tenant' | 'epoch' | 'positions' | 'samples' | 'format' | 'lastId'>,
): number {
  const { tenant, epoch, positions, samples, format, lastId } = head;
  return crc32(`${tenant}\0${epoch}\0${positions}\0${samples}\0${format}\0${lastId}`);
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

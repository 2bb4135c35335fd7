import { hex } from '../hex.ts';
import { type PackHead, packHeadChecksum, readPositions } from '../pack-table.ts';
import type { FoundSegment, Standing } from './buffer-image.ts';
import { type ColumnType, type ColumnValue, readColumns } from './record.ts';

/** A row of `packs` or `parked_packs`, which look alike: what is parked will be parked again. */
const PACK_COLUMNS: readonly ColumnType[] = [
  'null', // the row id stands for the primary key
  'integer',
  'integer',
  'integer',
  'text',
  'integer',
  'text',
  'integer',
  'integer',
  'number',
  'number',
  'integer',
  'integer',
  'integer',
  'blob',
];

/** A pack whose head is what was written, and where it lies. */
export interface FoundPack extends PackHead {
  crc: number;
  headCrc: number;
  standing: Standing;
  page: number;
  version: number;
  at: number;
}

/** Whether a record begins like that of a pack; the rest may lie on other pages. */
export function isPack(record: Uint8Array): boolean {
  return readColumns(record, PACK_COLUMNS) !== undefined;
}

/**
 * The head of a pack and its body; undefined when the head is not what was written.
 *
 * @param record in full
 */
export function packOf(
  record: Uint8Array,
  key: number,
): { head: PackHead & { crc: number; headCrc: number }; body: Uint8Array } | undefined {
  const values = readColumns(record, PACK_COLUMNS);
  if (values?.length !== PACK_COLUMNS.length) return undefined;
  const [, id, lastId, firstSample, tenant, epoch, positions, storedAt] = values;
  const [samples, oldest, newest, format, headCrc, crc, bytes] = values.slice(8);
  const body = bytes as Uint8Array;
  const head = {
    key,
    id: whole(id),
    lastId: whole(lastId),
    firstSample: whole(firstSample),
    tenant: tenant as string,
    epoch: whole(epoch),
    storedAt: whole(storedAt),
    samples: whole(samples),
    oldest: Number(oldest),
    newest: Number(newest),
    format: whole(format),
    headCrc: whole(headCrc),
    crc: whole(crc),
    bytes: body.length,
  };
  const text = positions as string;
  if (packHeadChecksum({ ...head, positions: text }) !== head.headCrc) return undefined;
  return { head: { ...head, positions: readPositions(text) }, body };
}

/**
 * The packs that count, in their order. A row of a page that was given back or of another version of
 * a page counts only where nothing that surely belongs to the database has its samples.
 *
 * @param isExpected tells which positions of pages that were given back are wanted all the same
 */
export function packsInOrder(
  found: readonly FoundPack[],
  segments: readonly FoundSegment[],
  isExpected: (position: { tenant: string; run: string; sequence: number }) => boolean,
): FoundPack[] {
  const live = segments.filter(({ standing }) => standing === 'live');
  const taken = new Set(live.map((segment) => keyOf(segment)));
  const packs: FoundPack[] = [];
  for (const standing of ['live', 'guess', 'free'] as const) {
    for (const pack of found.filter((one) => one.standing === standing)) {
      const positions = positionsOf(pack);
      if (standing !== 'live' && positions.some((position) => taken.has(keyOf(position)))) continue;
      if (standing === 'free' && !positions.some(isExpected)) continue;
      for (const position of positions) taken.add(keyOf(position));
      packs.push(pack);
    }
  }
  return packs.sort((one, other) => one.id - other.id || one.firstSample - other.firstSample);
}

/** The segments in a pack. */
export function positionsOf({ tenant, positions }: Pick<PackHead, 'tenant' | 'positions'>) {
  return positions.flatMap(({ run, first, counts }) =>
    counts.map((samples, index) => ({ tenant, run: hex(run), sequence: first + index, samples })),
  );
}

export function keyOf(position: { tenant: string; run: string; sequence: number }): string {
  return `${position.run}\0${position.tenant}\0${position.sequence}`;
}

/** Beyond 2^53 only damaged rows have numbers; -1 fits no checksum. */
function whole(value: ColumnValue | undefined): number {
  return typeof value === 'number' ? value : -1;
}

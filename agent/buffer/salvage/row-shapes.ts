import type { SegmentRow } from '../segment-table.ts';
import { type ColumnType, type ColumnValue, readColumns } from './record.ts';

// The rows of the buffer's tables as they lie on their pages, recognised by their columns: what
// names a table may be damaged, and no two tables look alike. SCHEMA in database.ts declares them.

const SEGMENT_COLUMNS: readonly ColumnType[] = [
  'null', // the row id stands for the primary key
  'text',
  'integer',
  'text',
  'integer',
  'integer',
  'integer',
  'number',
  'number',
  'integer',
  'blob',
];
/** The table has no key of its own: the id is a column like others. */
const SET_ASIDE_COLUMNS: readonly ColumnType[] = ['integer', ...SEGMENT_COLUMNS.slice(1)];
const ENTRY_COLUMNS: readonly ColumnType[] = ['integer', 'integer', 'integer', 'blob'];
const EPOCH_COLUMNS: readonly ColumnType[] = ['null', 'text'];
const HEAD_COLUMNS: readonly ColumnType[] = ['text', 'text', 'integer'];

/** A row of `segments` or `damaged_segments` without its body. */
export interface SegmentHead extends Omit<SegmentRow, 'body'> {
  id: number;
  crc: number;
}

/** @param record may be cut off behind the checksum */
export function segmentHead(record: Uint8Array, rowId: number): SegmentHead | undefined {
  return headOf(readColumns(record, SEGMENT_COLUMNS), rowId);
}

export function setAsideHead(record: Uint8Array): SegmentHead | undefined {
  const values = readColumns(record, SET_ASIDE_COLUMNS);
  return headOf(values, whole(values?.[0]));
}

/** @param record in full */
export function segmentBody(record: Uint8Array): Uint8Array | undefined {
  return readColumns(record, SEGMENT_COLUMNS)?.[10] as Uint8Array | undefined;
}

function headOf(values: ColumnValue[] | undefined, id: number): SegmentHead | undefined {
  if (values === undefined || values.length < 10) return undefined;
  const [, tenant, epoch, run, sequence, storedAt, samples, oldest, newest, crc] = values;
  return {
    id,
    tenant: tenant as string,
    epoch: whole(epoch),
    run: run as string,
    sequence: whole(sequence),
    storedAt: whole(storedAt),
    samples: whole(samples),
    oldest: Number(oldest),
    newest: Number(newest),
    crc: whole(crc),
  };
}

/** An entry of a dictionary log. */
export interface EntryRow {
  epoch: number;
  id: number;
  hash: bigint;
  entry: Uint8Array;
}

/** @param record in full */
export function entryRow(record: Uint8Array): EntryRow | undefined {
  const values = readColumns(record, ENTRY_COLUMNS);
  if (values?.length !== ENTRY_COLUMNS.length) return undefined;
  const [epoch, id, hash, entry] = values;
  return {
    epoch: whole(epoch),
    id: whole(id),
    hash: BigInt.asUintN(64, BigInt(hash as number | bigint)),
    entry: Uint8Array.from(entry as Uint8Array),
  };
}

/** Undefined also for a name that is none. */
export function epochRow(
  record: Uint8Array,
  key: number,
): { key: number; epoch: bigint } | undefined {
  const name = readColumns(record, EPOCH_COLUMNS)?.[1];
  if (typeof name !== 'string' || !/^[0-9a-f]{16}$/.test(name)) return undefined;
  return { key, epoch: BigInt(`0x${name}`) };
}

/** The last sequence a run has committed for a tenant. */
export interface HeadRow {
  run: string;
  tenant: string;
  last: number;
}

export function headRow(record: Uint8Array): HeadRow | undefined {
  const values = readColumns(record, HEAD_COLUMNS);
  if (values?.length !== HEAD_COLUMNS.length) return undefined;
  const [run, tenant, last] = values;
  return { run: run as string, tenant: tenant as string, last: whole(last) };
}

/** Beyond 2^53 only damaged rows have numbers; -1 fits no checksum and no key. */
function whole(value: ColumnValue | undefined): number {
  return typeof value === 'number' ? value : -1;
}

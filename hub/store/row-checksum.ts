import { crc32 } from 'node:zlib';

/** What SQLite keeps in a column. */
export type SqlValue = string | number | Uint8Array | null;

/**
 * CRC-32 over all that a row says, its key and the name of its table included: a row that was
 * changed in any column, or has come to stand in another place, does not fit it any more.
 */
export function rowChecksum(table: string, columns: readonly SqlValue[]): number {
  let crc = crc32(JSON.stringify([table, ...columns.map(written)]));
  for (const value of columns) if (value instanceof Uint8Array) crc = crc32(value, crc);
  return crc;
}

/** Bytes follow by themselves; JSON has no infinity, and would make null of it. */
function written(value: SqlValue): string | number | null {
  if (value instanceof Uint8Array) return 'bytes';
  return typeof value === 'number' && !Number.isFinite(value) ? `${value}` : value;
}

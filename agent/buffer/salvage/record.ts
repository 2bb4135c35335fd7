// A row as SQLite stores it (sqlite.org/fileformat2.html#record_format):
//
//   header   varint bytes of the header, then for each column a varint that says type and length
//   columns  one after the other, numbers big-endian
//
// A varint has seven bits a byte, the highest first, and all eight of a ninth byte.

export type ColumnType = 'null' | 'integer' | 'number' | 'text' | 'blob';
/** `integer` and `number` both come as numbers where a double is exact, else as bigint. */
export type ColumnValue = null | number | bigint | string | Uint8Array;

const VARINT_BYTES_MAX = 9;
const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8];
const REAL = 7;
const ZERO = 8;
const ONE = 9;
const BLOB_FROM = 12;

/** Passes over varints; one beyond 2^53 or beyond the end comes out as NaN. */
export class VarintCursor {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let count = 1; count <= VARINT_BYTES_MAX; count++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) return Number.NaN;
      if (count === VARINT_BYTES_MAX) value = value * 256 + byte;
      else value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) break;
    }
    return Number.isSafeInteger(value) ? value : Number.NaN;
  }
}

/** Serial types of the columns; undefined unless they are exactly of `types`. */
function serialTypes(
  record: Uint8Array,
  types: readonly ColumnType[],
): { serials: number[]; bodyAt: number } | undefined {
  const cursor = new VarintCursor(record, 0);
  const bodyAt = cursor.next();
  if (!(bodyAt > types.length && bodyAt <= record.length)) return undefined;
  const serials: number[] = [];
  for (const type of types) {
    const serial = cursor.next();
    if (!isOfType(serial, type)) return undefined;
    serials.push(serial);
  }
  return cursor.at === bodyAt ? { serials, bodyAt } : undefined;
}

function isOfType(serial: number, type: ColumnType): boolean {
  switch (type) {
    case 'null':
      return serial === 0;
    case 'integer':
      return (serial >= 1 && serial <= 6) || serial === ZERO || serial === ONE;
    case 'number':
      return serial >= 1 && serial <= ONE;
    case 'blob':
      return serial >= BLOB_FROM && serial % 2 === 0;
    case 'text':
      return serial > BLOB_FROM && serial % 2 === 1;
  }
}

/**
 * The columns of a record of this shape, as far as its first bytes hold them: of a long record the
 * rest lies on overflow pages. Undefined when it has another shape.
 */
export function readColumns(
  record: Uint8Array,
  types: readonly ColumnType[],
): ColumnValue[] | undefined {
  const shape = serialTypes(record, types);
  if (shape === undefined) return undefined;
  const values: ColumnValue[] = [];
  let at = shape.bodyAt;
  for (const serial of shape.serials) {
    const end = at + columnBytes(serial);
    if (end > record.length) break;
    values.push(columnValue(record, serial, at, end));
    at = end;
  }
  return values;
}

function columnBytes(serial: number): number {
  if (serial >= BLOB_FROM) return Math.floor((serial - BLOB_FROM) / 2);
  if (serial === REAL) return 8;
  return INTEGER_BYTES[serial] ?? 0;
}

function columnValue(record: Uint8Array, serial: number, at: number, end: number): ColumnValue {
  if (serial >= BLOB_FROM) {
    const bytes = record.subarray(at, end);
    return serial % 2 === 0 ? bytes : Buffer.from(bytes).toString('utf8');
  }
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  if (serial === 0) return null;
  if (serial === REAL) return view.getFloat64(at);
  if (serial === ZERO) return 0;
  if (serial === ONE) return 1;
  let value = BigInt(view.getInt8(at));
  for (let byte = at + 1; byte < end; byte++) value = (value << 8n) | BigInt(record[byte]!);
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
    ? Number(value)
    : value;
}

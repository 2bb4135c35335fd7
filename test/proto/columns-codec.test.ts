import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, DecodeError } from '../../proto/bytes.ts';
import { decodeColumns, encodeColumns } from '../../proto/columns-codec.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';

type Row = [id: number, timestamp: number, low: number, high: number];

const uint32 = fc.nat(0xffffffff);
const row = fc.tuple(
  fc.oneof(fc.nat(100), uint32),
  fc.oneof(fc.maxSafeInteger(), fc.constantFrom(2 ** 53, -(2 ** 53), 0, 1_800_000_000_000)),
  uint32,
  // Signalling and quiet NaNs of either sign beside everything else.
  fc.oneof(uint32, fc.constantFrom(0x7ff00000, 0x7ff80000, 0xfff00000, 0x80000000)),
);

function columnsOf(rows: readonly Row[]): SampleColumns {
  const columns = new SampleColumns(0);
  for (const one of rows) columns.push(...one);
  return columns;
}

function rowsOf({ ids, timestamps, valueBits, count }: SampleColumns): Row[] {
  return Array.from({ length: count }, (_, at) => [
    ids[at]!,
    timestamps[at]!,
    valueBits[at * 2]!,
    valueBits[at * 2 + 1]!,
  ]);
}

test('columns come back bit for bit, behind what is there already', () => {
  fc.assert(
    fc.property(fc.array(row), fc.array(row, { maxLength: 3 }), (rows, before) => {
      const bytes = encodeColumns(columnsOf(rows)).finish();
      const into = columnsOf(before);
      decodeColumns(new ByteReader(bytes), rows.length, into);
      expect(rowsOf(into)).toEqual([...before, ...rows]);
    }),
  );
});

test('columns cut off anywhere, or of more rows, are an error that changes nothing', () => {
  const rows: Row[] = [
    [5, 1_800_000_000_000, 2, 0x7ff00000],
    [4, 1_800_000_015_000, 0, 0x40590000],
    [70_000, -(2 ** 53), 1, 2],
  ];
  const bytes = encodeColumns(columnsOf(rows)).finish();
  const into = columnsOf(rows);
  const decode = (part: Uint8Array, count: number) => () =>
    decodeColumns(new ByteReader(part), count, into);
  for (let end = 0; end < bytes.length; end++) {
    expect(decode(bytes.subarray(0, end), 3)).toThrow(DecodeError);
  }
  for (const count of [4, 1e9]) expect(decode(bytes, count)).toThrow(DecodeError);
  expect(rowsOf(into)).toEqual(rows);
});

import { ByteReader, ByteWriter } from '../../proto/bytes.ts';
import { type CapturedSamples, latin1, type Rows } from '../captured-samples.ts';
import type { Compression } from './compression.ts';
import type { Visit, WireFormat } from './wire-format.ts';

// Columns with a dictionary per batch, as OpenTelemetry's Arrow protocol sends when it has no
// memory of earlier batches:
//
//   varint       number of rows, number of label columns
//   per column   name; number of values; the values, each behind its length;
//                per row the value's number from 1, 0 for none: 1, 2 or 4 bytes
//   timestamps   per row the difference to the row before, 8 bytes
//   values       per row 8 bytes

interface LabelColumn {
  numbers: Map<string, number>;
  /** Per row: number of the value, 0 when the series has no such label. */
  rows: Uint32Array;
}

/** Dictionaries per batch, then one column per label, timestamps, values. */
export function batchColumns(compression: Compression): WireFormat {
  return {
    name: `columns, dictionary per batch + ${compression.name}`,
    encode: (samples, rows) => compression.compress(encode(samples, rows)),
    decode: (body, visit) => decode(compression.uncompress(body), visit),
  };
}

function encode(samples: CapturedSamples, { from, to }: Rows): Uint8Array {
  const labels = labelColumns(samples, { from, to });
  const writer = new ByteWriter(1 << 16);
  writer.varint(to - from);
  writer.varint(labels.size);
  for (const [name, { numbers, rows }] of labels) {
    writeText(writer, name);
    writer.varint(numbers.size);
    for (const value of numbers.keys()) writeText(writer, value);
    const bytes = numberBytes(numbers.size);
    for (const number of rows) {
      for (let byte = 0; byte < bytes; byte++) writer.byte(number >>> (8 * byte));
    }
  }
  const { timestamps, valueBits } = samples.columns;
  writer.raw(timestampBytes(timestamps.subarray(from, to)));
  for (let half = from * 2; half < to * 2; half++) writer.uint32(valueBits[half]!);
  return writer.finish();
}

function labelColumns(
  { series, columns }: CapturedSamples,
  { from, to }: Rows,
): Map<string, LabelColumn> {
  const labels = new Map<string, LabelColumn>();
  for (let row = from; row < to; row++) {
    const { texts } = series[columns.ids[row]!]!;
    for (let at = 0; at < texts.length; at += 2) {
      let column = labels.get(texts[at]!);
      if (column === undefined) {
        column = { numbers: new Map(), rows: new Uint32Array(to - from) };
        labels.set(texts[at]!, column);
      }
      const value = texts[at + 1]!;
      const number = column.numbers.get(value) ?? column.numbers.size + 1;
      column.numbers.set(value, number);
      column.rows[row - from] = number;
    }
  }
  return labels;
}

function timestampBytes(timestamps: Float64Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(timestamps.length * 8));
  timestamps.forEach((timestamp, row) => {
    const difference = row === 0 ? timestamp : timestamp - timestamps[row - 1]!;
    view.setBigInt64(row * 8, BigInt(difference), true);
  });
  return new Uint8Array(view.buffer);
}

function decode(bytes: Uint8Array, visit: Visit): void {
  const reader = new ByteReader(bytes);
  const rows = reader.varint();
  const labels = readLabelColumns(reader, rows);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const timestampsAt = reader.skip(rows * 8);
  const valuesAt = reader.skip(rows * 8);
  let timestamp = 0;
  for (let row = 0; row < rows; row++) {
    timestamp += Number(view.getBigInt64(timestampsAt + row * 8, true));
    const at = valuesAt + row * 8;
    visit(labels[row]!, timestamp, view.getUint32(at, true), view.getUint32(at + 4, true));
  }
}

/** Labels of each row, sorted by name as the captured ones are. */
function readLabelColumns(reader: ByteReader, rows: number): string[][] {
  const columns = Array.from({ length: reader.varint() }, () => {
    const name = readText(reader);
    const values = Array.from({ length: reader.varint() }, () => readText(reader));
    const bytes = numberBytes(values.length);
    return { name, values, bytes, at: reader.skip(rows * bytes) };
  });
  columns.sort((a, b) => (a.name < b.name ? -1 : 1));
  const buffer = Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.length);
  return Array.from({ length: rows }, (_, row) =>
    columns.flatMap(({ name, values, bytes, at }) => {
      const number = buffer.readUIntLE(at + row * bytes, bytes);
      return number === 0 ? [] : [name, values[number - 1]!];
    }),
  );
}

function numberBytes(values: number): 1 | 2 | 4 {
  if (values < 2 ** 8) return 1;
  return values < 2 ** 16 ? 2 : 4;
}

function writeText(writer: ByteWriter, text: string): void {
  writer.varint(text.length);
  writer.raw(Buffer.from(text, 'latin1'));
}

function readText(reader: ByteReader): string {
  return latin1(reader.raw(reader.varint()));
}

import { type ByteReader, type ByteWriter, DecodeError } from './bytes.ts';
import { wholeObject } from './objects/histogram.ts';
import type { RowObject, SampleColumns } from './sample-columns.ts';

// What stands beside the floats of a segment, behind its columns; nothing at all as a rule:
//
//     objects    varint count, each: varint row - row before, byte 0 histogram or 1 exemplar,
//                varint bytes, bytes
//     starts     byte 0 none, or 1 and per row: zigzag start timestamp

const KINDS = ['histogram', 'exemplar'] as const;
/** Even an empty object takes so much. */
const OBJECT_BYTES_MIN = 3;

export function encodeBeside(columns: SampleColumns, writer: ByteWriter): void {
  const { objects, startTimestamps, count } = columns;
  if (objects.length === 0 && startTimestamps === undefined) return;
  writer.varint(objects.length);
  let rowBefore = 0;
  for (const object of objects) {
    const bytes = wholeObject(object);
    writer.varint(object.row - rowBefore);
    rowBefore = object.row;
    writer.byte(KINDS.indexOf(object.kind));
    writer.varint(bytes.length);
    writer.raw(bytes);
  }
  writer.byte(startTimestamps === undefined ? 0 : 1);
  if (startTimestamps === undefined) return;
  for (let row = 0; row < count; row++) writer.zigzag(startTimestamps[row]!);
}

/** Reads what belongs to the rows from `from` on, which are in `into`. @throws DecodeError */
export function decodeBeside(reader: ByteReader, from: number, into: SampleColumns): void {
  const count = reader.varint();
  if (count * OBJECT_BYTES_MIN > reader.end - reader.at) throw new DecodeError('segment: objects');
  let row = from;
  for (let index = 0; index < count; index++) {
    const difference = reader.varint();
    row += difference;
    if ((index > 0 && difference === 0) || row >= into.count) {
      throw new DecodeError(`segment: an object of row ${row - from}`);
    }
    into.objects.push({ row, kind: kindOf(reader.byte()), bytes: reader.raw(reader.varint()) });
  }
  const starts = reader.byte();
  if (starts > 1) throw new DecodeError(`segment: starts ${starts}`);
  for (let at = from; starts === 1 && at < into.count; at++) into.setStart(at, reader.zigzag());
}

function kindOf(byte: number): RowObject['kind'] {
  const kind = KINDS[byte];
  if (kind === undefined) throw new DecodeError(`segment: an object of kind ${byte}`);
  return kind;
}

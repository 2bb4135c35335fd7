import { ByteWriter, DecodeError } from '../bytes.ts';
import { FieldCursor, VARINT } from '../field-cursor.ts';

/** A field of a protobuf message: its number and where it stands, tag included. */
export interface Field {
  number: number;
  from: number;
  to: number;
}

/** The fields of the message in bytes [from, to), in the order of their numbers. @throws DecodeError */
export function fieldsByNumber(bytes: Uint8Array, from = 0, to = bytes.length): Field[] {
  const cursor = new FieldCursor(bytes, from, to);
  const fields: Field[] = [];
  while (cursor.at < to) {
    const fieldFrom = cursor.at;
    const tag = cursor.tag();
    cursor.skip(tag);
    fields.push({ number: tag >>> 3, from: fieldFrom, to: cursor.at });
  }
  // Stable: fields that repeat keep their order.
  return fields.sort((one, other) => one.number - other.number);
}

/** The message of some of the fields of `bytes`. */
export function messageOf(bytes: Uint8Array, fields: readonly Field[]): Uint8Array {
  const writer = new ByteWriter(fields.reduce((sum, { from, to }) => sum + to - from, 0));
  for (const { from, to } of fields) writer.raw(bytes, from, to);
  return writer.finish();
}

/**
 * The int64 field `number` of a message; the last one counts, as everywhere in protobuf, and 0 is
 * for none. NaN when it is not within ±2^53.
 *
 * @throws DecodeError
 */
export function int64Field(bytes: Uint8Array, fields: readonly Field[], number: number): number {
  const field = fields.findLast((one) => one.number === number);
  if (field === undefined) return 0;
  const cursor = new FieldCursor(bytes, field.from, field.to);
  if ((cursor.tag() & 7) !== VARINT) throw new DecodeError(`field ${number} is no int64`);
  return cursor.int64();
}

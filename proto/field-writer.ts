import type { ByteWriter } from './bytes.ts';

/** Appends a protobuf field of strings, bytes or messages; `tag` is a single byte. */
export function writeBytesField(writer: ByteWriter, tag: number, content: Uint8Array): void {
  writer.byte(tag);
  writer.varint(content.length);
  writer.raw(content);
}

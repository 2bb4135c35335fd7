import { type ByteReader, type ByteWriter, DecodeError } from '../bytes.ts';

// Texts one behind the other, each ended by a byte that UTF-8 never contains. zstd finds repeated
// texts with their ends in this form; with their lengths in front, a dictionary takes 8 % more.
// The two special bytes within a text (of a label value that is no UTF-8) are written as two.

const END = 0xff;
const ESCAPE = 0xfe;

/** Appends bytes [from, to) of `text`, which may be any bytes, and the end mark. */
export function appendText(writer: ByteWriter, text: Uint8Array, from = 0): void {
  writer.reserve(2 * (text.length - from) + 1);
  const { bytes } = writer;
  let to = writer.length;
  for (let at = from; at < text.length; at++) {
    const byte = text[at]!;
    if (byte >= ESCAPE) {
      bytes[to++] = ESCAPE;
      bytes[to++] = byte - ESCAPE;
    } else {
      bytes[to++] = byte;
    }
  }
  bytes[to++] = END;
  writer.length = to;
}

/**
 * The next text: a view into the bytes read, or a copy where it had to be changed.
 *
 * @throws DecodeError
 */
export function readText(reader: ByteReader): Uint8Array {
  const from = reader.at;
  let escapes = 0;
  for (let byte = reader.byte(); byte !== END; byte = reader.byte()) {
    if (byte !== ESCAPE) continue;
    const which = reader.byte();
    if (which > END - ESCAPE) throw new DecodeError(`${which} behind an escape in a text`);
    escapes++;
  }
  const text = reader.bytes.subarray(from, reader.at - 1);
  return escapes === 0 ? text : withoutEscapes(text, escapes);
}

function withoutEscapes(escaped: Uint8Array, escapes: number): Uint8Array {
  const text = new Uint8Array(escaped.length - escapes);
  let at = 0;
  for (let to = 0; to < text.length; to++) {
    const byte = escaped[at++]!;
    text[to] = byte === ESCAPE ? ESCAPE + escaped[at++]! : byte;
  }
  return text;
}

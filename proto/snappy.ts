import { assert } from '../base/assert.ts';
import { DecodeError } from './bytes.ts';

// The snappy block format (google/snappy, format_description.txt):
//
//   preamble   decoded length, a varint of at most 32 bits
//   elements   a tag byte each, its low two bits name the kind
//     0 literal   upper six bits: length - 1; 60 to 63: the length - 1 follows in 1 to 4 bytes
//     1 copy      length 4 to 11 in bits 2-4; offset of 11 bits: bits 5-7 and the next byte
//     2 copy      length - 1 in the upper six bits; offset in the next two bytes
//     3 copy      length - 1 in the upper six bits; offset in the next four bytes

const PREAMBLE_BYTES_MAX = 5;
const LITERAL = 0;
/** A longer literal has its length behind the tag. */
const SHORT_LITERAL_MAX = 60;
/** Up to here a loop beats the call into native code. */
const LOOP_BYTES_MAX = 64;

/**
 * Decoded length that a snappy block declares, to be judged before anything is allocated.
 *
 * @throws DecodeError
 */
export function snappyDeclaredBytes(body: Uint8Array): number {
  return readPreamble(body).declaredBytes;
}

/**
 * Decodes a snappy block into the first bytes of `into`; returns how many.
 *
 * @param into scratch of at least the declared length
 * @throws DecodeError for any block that is not valid; `into` then holds rubbish
 */
export function decodeSnappy(body: Uint8Array, into: Uint8Array): number {
  const { declaredBytes, elementsAt } = readPreamble(body);
  assert(into.length >= declaredBytes, 'no room for the decoded block');
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  let at = elementsAt;
  let decoded = 0;
  while (at < body.length) {
    const tag = body[at++]!;
    const kind = tag & 3;
    let length = (tag >> 2) + 1;
    if (kind === LITERAL) {
      if (length > SHORT_LITERAL_MAX) {
        const lengthBytes = length - SHORT_LITERAL_MAX;
        length = readNumber(body, at, lengthBytes) + 1;
        at += lengthBytes;
      }
      if (length > body.length - at) throw corrupt('a literal goes beyond the end', at);
      if (length > declaredBytes - decoded) throw corrupt('more than was declared', at);
      copyLiteral(body, at, into, decoded, length);
      at += length;
      decoded += length;
    } else {
      const offsetBytes = kind === 3 ? 4 : kind;
      let offset = readNumber(body, at, offsetBytes);
      at += offsetBytes;
      if (kind === 1) {
        offset += (tag >> 5) << 8;
        length = ((tag >> 2) & 7) + 4;
      }
      if (offset === 0 || offset > decoded) throw corrupt('a copy from before the start', at);
      if (length > declaredBytes - decoded) throw corrupt('more than was declared', at);
      copyBack(into, view, decoded, offset, length);
      decoded += length;
    }
  }
  if (decoded !== declaredBytes) {
    throw corrupt(`${decoded} bytes where ${declaredBytes} were declared`, at);
  }
  return decoded;
}

/** Four bytes at a time unless the copy overlaps what it produces within them. */
function copyBack(
  into: Uint8Array,
  view: DataView,
  to: number,
  offset: number,
  length: number,
): void {
  const end = to + length;
  let at = to;
  if (offset >= 4) {
    for (; at + 4 <= end; at += 4) view.setInt32(at, view.getInt32(at - offset, true), true);
  }
  for (; at < end; at++) into[at] = into[at - offset]!;
}

function copyLiteral(
  body: Uint8Array,
  from: number,
  into: Uint8Array,
  to: number,
  length: number,
): void {
  if (length > LOOP_BYTES_MAX) {
    into.set(body.subarray(from, from + length), to);
  } else {
    for (let i = 0; i < length; i++) into[to + i] = body[from + i]!;
  }
}

function readPreamble(body: Uint8Array): { declaredBytes: number; elementsAt: number } {
  let declaredBytes = 0;
  let scale = 1;
  for (let at = 0; at < PREAMBLE_BYTES_MAX; at++) {
    if (at >= body.length) throw corrupt('the declared length is cut off', at);
    const byte = body[at]!;
    declaredBytes += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (declaredBytes >= 2 ** 32) break;
      return { declaredBytes, elementsAt: at + 1 };
    }
    scale *= 0x80;
  }
  throw corrupt('the declared length exceeds 32 bits', 0);
}

/** An unsigned number of one to four bytes, little-endian. */
function readNumber(body: Uint8Array, at: number, bytes: number): number {
  if (bytes > body.length - at) throw corrupt('cut off', at);
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + body[at + i]!;
  return value;
}

function corrupt(what: string, at: number): DecodeError {
  return new DecodeError(`snappy: corrupt input: ${what} at byte ${at}`);
}

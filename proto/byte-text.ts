import { isUtf8 } from 'node:buffer';

// Label names and values are bytes that mostly are UTF-8 and need not be. As text they are that
// UTF-8, and a byte 0xNN that belongs to no character is the lone surrogate U+DCNN, which UTF-8
// cannot express: bytes -> text -> bytes changes nothing. Which bytes belong to no character is
// judged as in Go: one at a time, surrogates and overlong forms among them.

const ESCAPE_BASE = 0xdc00;
/** With the flag `u` a surrogate of a pair does not match. */
const ESCAPES = /[\udc80-\udcff]+/gu;

export function textOfBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  let text = '';
  let validFrom = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = characterBytes(buffer, at);
    if (length === 0) {
      text += buffer.toString('utf8', validFrom, at);
      text += String.fromCharCode(ESCAPE_BASE + buffer[at]!);
      validFrom = at + 1;
    }
    at += Math.max(length, 1);
  }
  return text + buffer.toString('utf8', validFrom);
}

/** Length of the character at `at`, 0 where none is. */
function characterBytes(buffer: Buffer, at: number): number {
  const lead = buffer[at]!;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return isUtf8(buffer.subarray(at, at + length)) && at + length <= buffer.length ? length : 0;
}

/** A lone surrogate that stands for no byte, which no bytes lead to, becomes U+FFFD. */
export function bytesOfText(text: string): Uint8Array {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8');
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const { 0: escapes, index } of text.matchAll(ESCAPES)) {
    parts.push(Buffer.from(text.slice(from, index), 'utf8'));
    // The low byte of U+DCNN is the byte.
    parts.push(Buffer.from(escapes, 'latin1'));
    from = index + escapes.length;
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'));
  return Buffer.concat(parts);
}

/** Texts put together can have bytes side by side that are a character now. */
export function normalText(text: string): string {
  return text.isWellFormed() ? text : textOfBytes(bytesOfText(text));
}

const FIRST_SURROGATE = 0xd800;

/** The order of the bytes; code units have it up to the surrogates. */
export function compareTexts(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  for (let at = 0; at < common; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    if (left < FIRST_SURROGATE && right < FIRST_SURROGATE) return left - right;
    return Buffer.compare(bytesOfText(a), bytesOfText(b));
  }
  return a.length - b.length;
}

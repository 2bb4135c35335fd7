import { DecodeError } from '../bytes.ts';
import { FIXED64 } from '../field-cursor.ts';
import { forEachLabel } from '../label-set.ts';
import { fieldsByNumber, int64Field, messageOf } from './fields.ts';

// An exemplar of remote write 1.0; one of version 2.0 is brought into this form:
//
//   message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
//
// Canonical, as columns hold it: the fields in the order of their numbers without the timestamp.

const LABELS = 1;
const VALUE = 2;
const TIMESTAMP = 3;
const VALUE_TAG = (VALUE << 3) | FIXED64;
/** Limit for one exemplar. */
export const EXEMPLAR_BYTES_MAX = 65_536;

/** An exemplar whose timestamp stands beside it, in ms, NaN beyond ±2^53; none counts as 0. */
export interface Exemplar {
  timestamp: number;
  bytes: Uint8Array;
  labels: number;
  /** Of all label names and values together, in characters (code points). */
  labelLength: number;
}

/** Takes the Exemplar message in bytes [from, to) apart; `bytes` is a copy. @throws DecodeError */
export function readExemplar(bytes: Uint8Array, from: number, to: number): Exemplar {
  const fields = fieldsByNumber(bytes, from, to);
  // Version 2.0 has no place for labels that cannot be read.
  let labels = 0;
  let labelLength = 0;
  const count = (name: Uint8Array, value: Uint8Array) => {
    labels++;
    labelLength += codePoints(name) + codePoints(value);
  };
  for (const field of fields) {
    if (field.number === LABELS) forEachLabel(bytes, count, field.from, field.to);
    else if (field.number === VALUE && bytes[field.from] !== VALUE_TAG) {
      throw new DecodeError(`Exemplar: field ${VALUE} at byte ${field.from} is no double`);
    }
  }
  return {
    timestamp: int64Field(bytes, fields, TIMESTAMP),
    bytes: messageOf(
      bytes,
      fields.filter(({ number }) => number !== TIMESTAMP),
    ),
    labels,
    labelLength,
  };
}

/** Of UTF-8: each begins with a byte that continues none. */
function codePoints(bytes: Uint8Array): number {
  let count = 0;
  // Bytes of the same code point still to come: one that nothing has announced counts, as in Go.
  let following = 0;
  for (const byte of bytes) {
    if ((byte & 0xc0) === 0x80 && following > 0) following--;
    else {
      count++;
      following = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
    }
  }
  return count;
}

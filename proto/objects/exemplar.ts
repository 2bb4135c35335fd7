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

/** An exemplar whose timestamp stands beside it, in ms, NaN beyond ±2^53. */
export interface Exemplar {
  timestamp: number;
  bytes: Uint8Array;
}

/** Takes the Exemplar message in bytes [from, to) apart; `bytes` is a copy. @throws DecodeError */
export function readExemplar(bytes: Uint8Array, from: number, to: number): Exemplar {
  const fields = fieldsByNumber(bytes, from, to);
  // Version 2.0 has no place for labels that cannot be read.
  for (const field of fields) {
    if (field.number === LABELS) forEachLabel(bytes, () => {}, field.from, field.to);
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
  };
}

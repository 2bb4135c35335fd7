import { assert } from '../../base/assert.ts';

const SAMPLE_TAG = 0x12;
const VALUE_TAG = 0x09;
const TIMESTAMP_TAG = 0x10;
const START_TIMESTAMP_TAG = 0x18;

/** Tag, length, value with its tag, both timestamps with theirs: a sample at its largest. */
const SAMPLE_BYTES_MAX = 2 + 9 + 11 + 11;
/** What an object takes beside its own bytes at most: tag, length, two times with their tags. */
const OBJECT_FRAME_BYTES_MAX = 1 + 5 + 12 + 12;
/** Room kept for the length of a TimeSeries until it is known; two bytes fit nearly always. */
const LENGTH_BYTES_USUAL = 2;
const LENGTH_BYTES_MAX = 5;
const BODY_BYTES_MAX = 2 ** 31 - 1;

/** A time of an object: the number of its field, and ms; one that is 0 is left out. */
export interface ObjectTime {
  field: number;
  ms: number;
}

/**
 * Writes the `timeseries` fields of a write request. Both versions have the same Sample in them,
 * and are alike in how an object and its times are written:
 *
 *     message TimeSeries { ...; repeated Sample samples = 2; ... }
 *     message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
 */
export class SeriesWriter {
  readonly #tag: number;
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;
  /** Where the content of the open TimeSeries begins; -1 when none is open. */
  #openFrom = -1;

  /** @param tag of the field `timeseries`, a single byte */
  constructor(tag: number) {
    this.#tag = tag;
  }

  /** Begins a TimeSeries with the fields in bytes [from, to) of `source`. */
  begin(source: Uint8Array, from: number, to: number): void {
    assert(from >= 0 && from < to && to <= source.length, 'a series without labels');
    this.#close();
    this.#reserve(1 + LENGTH_BYTES_MAX + to - from);
    this.#bytes[this.#length] = this.#tag;
    this.#openFrom = this.#length + 1 + LENGTH_BYTES_USUAL;
    this.#bytes.set(source.subarray(from, to), this.#openFrom);
    this.#length = this.#openFrom + to - from;
  }

  /** See WriteEncoder. */
  sample(timestamp: number, low: number, high: number, startTimestamp: number): void {
    assert(this.#openFrom >= 0, 'a sample without a series');
    this.#reserve(SAMPLE_BYTES_MAX);
    const bytes = this.#bytes;
    const from = this.#length;
    bytes[from] = SAMPLE_TAG;
    bytes[from + 2] = VALUE_TAG;
    writeUint32(bytes, from + 3, low);
    writeUint32(bytes, from + 7, high);
    bytes[from + 11] = TIMESTAMP_TAG;
    let to = writeInt64(bytes, from + 12, timestamp);
    if (startTimestamp !== 0) {
      bytes[to] = START_TIMESTAMP_TAG;
      to = writeInt64(bytes, to + 1, startTimestamp);
    }
    bytes[from + 1] = to - from - 2;
    this.#length = to;
  }

  /** Adds a message of `content` and then its times to the open TimeSeries. */
  object(tag: number, content: Uint8Array, ...times: readonly ObjectTime[]): void {
    assert(this.#openFrom >= 0, 'an object without a series');
    this.#reserve(OBJECT_FRAME_BYTES_MAX + content.length);
    const bytes = this.#bytes;
    bytes[this.#length] = tag;
    const said = times.filter(({ ms }) => ms !== 0);
    const timeBytes = said.reduce((sum, { field, ms }) => {
      return sum + varintBytes(field << 3) + int64Bytes(ms);
    }, 0);
    let at = writeVarint(bytes, this.#length + 1, content.length + timeBytes);
    bytes.set(content, at);
    at += content.length;
    for (const { field, ms } of said)
      at = writeInt64(bytes, writeVarint(bytes, at, field << 3), ms);
    this.#length = at;
  }

  /** All fields, until the next call of anything; the writer is empty afterwards. */
  take(): Uint8Array {
    this.#close();
    const taken = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** Writes the length of the open TimeSeries into the room kept for it. */
  #close(): void {
    if (this.#openFrom < 0) return;
    const length = this.#length - this.#openFrom;
    const lengthBytes = varintBytes(length);
    const lengthFrom = this.#openFrom - LENGTH_BYTES_USUAL;
    if (lengthBytes !== LENGTH_BYTES_USUAL) {
      this.#reserve(LENGTH_BYTES_MAX);
      this.#bytes.copyWithin(lengthFrom + lengthBytes, this.#openFrom, this.#length);
      this.#length += lengthBytes - LENGTH_BYTES_USUAL;
    }
    writeVarint(this.#bytes, lengthFrom, length);
    this.#openFrom = -1;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    assert(needed <= BODY_BYTES_MAX, 'a body beyond 2 GiB');
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest >>>= 7) bytes++;
  return bytes;
}

/** As writeInt64 writes it. */
function int64Bytes(value: number): number {
  if (value < 0) return 10;
  const high = Math.floor(value / 2 ** 32);
  if (high === 0) return varintBytes(value >>> 0);
  return high >>> 3 === 0 ? 5 : 5 + varintBytes(high >>> 3);
}

/** @returns where the next byte goes */
function writeVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value >>> 0;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/**
 * A whole number within ±2^53 as a protobuf int64: two's complement, so that every negative one
 * takes ten bytes. The remainder of a division by 2^32 is exact for negative doubles, too.
 *
 * @returns where the next byte goes
 */
function writeInt64(bytes: Uint8Array, from: number, value: number): number {
  const low = value >>> 0;
  const high = Math.floor(value / 2 ** 32) >>> 0;
  if (high === 0) return writeVarint(bytes, from, low);
  bytes[from] = (low & 0x7f) | 0x80;
  bytes[from + 1] = ((low >>> 7) & 0x7f) | 0x80;
  bytes[from + 2] = ((low >>> 14) & 0x7f) | 0x80;
  bytes[from + 3] = ((low >>> 21) & 0x7f) | 0x80;
  // The fifth byte holds four bits of each half.
  const rest = high >>> 3;
  bytes[from + 4] = (low >>> 28) | ((high & 0x07) << 4) | (rest > 0 ? 0x80 : 0);
  return rest > 0 ? writeVarint(bytes, from + 5, rest) : from + 5;
}

import { compress } from 'snappyjs';
import { assert } from '../base/assert.ts';

/**
 * Samples on their way to the destination, small enough for one body. They stay references into
 * their batch until a body is needed, so that a request held for hours costs four bytes a sample.
 */
export interface OutgoingRequest {
  tenant: string;
  /** All samples of a series travel on one lane, and a lane sends one request at a time. */
  lane: number;
  /** Samples in the request. */
  count: number;
  /** Whether an earlier attempt, of this hub or of one before it, may have stored samples. */
  mayBeRedelivered: boolean;
  /** The snappy-compressed body with samples [from, to) of the request. */
  encode(from: number, to: number): Uint8Array;
}

const TIMESERIES_TAG = 0x0a;
const SAMPLE_TAG = 0x12;
const EXEMPLAR_TAG = 0x1a;
const HISTOGRAM_TAG = 0x22;
const EXEMPLAR_TIMESTAMP_TAG = 0x18;
const HISTOGRAM_TIMESTAMP_TAG = 0x78;
const VALUE_TAG = 0x09;
const TIMESTAMP_TAG = 0x10;

/** Tag, length, value with its tag, timestamp with its tag: a sample at its largest. */
const SAMPLE_BYTES_MAX = 2 + 9 + 11;
/** What an object takes beside its own bytes at most: tag, length, timestamp with its tag. */
const OBJECT_FRAME_BYTES_MAX = 1 + 5 + 11;
/** Room kept for the length of a TimeSeries until it is known; two bytes fit nearly always. */
const LENGTH_BYTES_USUAL = 2;
const LENGTH_BYTES_MAX = 5;
const BODY_BYTES_MAX = 2 ** 31 - 1;

/**
 * Writes remote-write 1.0 bodies from label bytes that are encoded already
 * (proto/remote-write.proto):
 *
 *     message WriteRequest { repeated TimeSeries timeseries = 1; }
 *     message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
 *     message Sample { double value = 1; int64 timestamp = 2; }
 *
 * Samples keep the order in which they are added: those of one series that follow one another
 * share a TimeSeries, a series that comes again gets another one. They are not gathered by series
 * over the whole body, because a fresh tenant of Cortex takes the first sample it meets for the
 * present: with newer samples first, the older half of the body is out of bounds.
 */
export class WriteRequestEncoder {
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;
  /** Where the content of the open TimeSeries begins; -1 when none is open. */
  #openFrom = -1;

  /** Begins a TimeSeries with the labels in bytes [from, to) of `source`. */
  series(source: Uint8Array, from: number, to: number): void {
    assert(from >= 0 && from < to && to <= source.length, 'a series without labels');
    this.#close();
    this.#reserve(1 + LENGTH_BYTES_MAX + to - from);
    this.#bytes[this.#length] = TIMESERIES_TAG;
    this.#openFrom = this.#length + 1 + LENGTH_BYTES_USUAL;
    this.#bytes.set(source.subarray(from, to), this.#openFrom);
    this.#length = this.#openFrom + to - from;
  }

  /**
   * Adds a sample to the open TimeSeries.
   *
   * @param timestamp milliseconds since the Unix epoch, whole, within ±2^53
   * @param low the lower 32 bits of the value's IEEE 754 bits
   * @param high the upper 32 bits
   */
  sample(timestamp: number, low: number, high: number): void {
    assert(this.#openFrom >= 0, 'a sample without a series');
    this.#reserve(SAMPLE_BYTES_MAX);
    const bytes = this.#bytes;
    const from = this.#length;
    bytes[from] = SAMPLE_TAG;
    bytes[from + 2] = VALUE_TAG;
    writeUint32(bytes, from + 3, low);
    writeUint32(bytes, from + 7, high);
    bytes[from + 11] = TIMESTAMP_TAG;
    const to = writeInt64(bytes, from + 12, timestamp);
    bytes[from + 1] = to - from - 2;
    this.#length = to;
  }

  /** Adds a canonical native histogram (proto/objects) to the open TimeSeries. */
  histogram(timestamp: number, bytes: Uint8Array): void {
    this.#object(HISTOGRAM_TAG, bytes, HISTOGRAM_TIMESTAMP_TAG, timestamp);
  }

  /** Adds a canonical exemplar (proto/objects) to the open TimeSeries. */
  exemplar(timestamp: number, bytes: Uint8Array): void {
    this.#object(EXEMPLAR_TAG, bytes, EXEMPLAR_TIMESTAMP_TAG, timestamp);
  }

  /** The body, compressed with snappy; the encoder is empty afterwards. */
  finish(): Uint8Array {
    this.#close();
    const body = compress(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return body;
  }

  #object(tag: number, content: Uint8Array, timestampTag: number, timestamp: number): void {
    assert(this.#openFrom >= 0, 'an object without a series');
    this.#reserve(OBJECT_FRAME_BYTES_MAX + content.length);
    const bytes = this.#bytes;
    bytes[this.#length] = tag;
    const timestampBytes = 1 + int64Bytes(timestamp);
    let at = writeVarint(bytes, this.#length + 1, content.length + timestampBytes);
    bytes.set(content, at);
    at += content.length;
    bytes[at] = timestampTag;
    this.#length = writeInt64(bytes, at + 1, timestamp);
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

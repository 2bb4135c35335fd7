import protobuf from 'protobufjs';
import snappy from 'snappyjs';

/**
 * Remote write 1.0 as protobufjs reads and writes it. The value is declared `fixed64`, the same
 * eight bytes on the wire as `double`, so that it stays bits and a stale marker stays one.
 */
const WriteRequest = protobuf
  .parse(`
  syntax = "proto3";
  message WriteRequest { repeated TimeSeries timeseries = 1; }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
  message Label { string name = 1; string value = 2; }
  message Sample { fixed64 value = 1; int64 timestamp = 2; }
`)
  .root.lookupType('WriteRequest');

/** 64 bits, as protobufjs takes and gives them. */
interface Halves {
  low: number;
  high: number;
}

interface TimeSeries {
  labels: { name: string; value: string }[];
  samples: { value: Halves; timestamp: Halves }[];
}

/** [milliseconds since the Unix epoch, low half, high half of the value as signed 32-bit numbers]. */
export type Sample = [timestamp: number, low: number, high: number];

export interface WrittenSeries {
  /** Names and values, ascending by name, without empty values. */
  labels: [name: string, value: string][];
  samples: Sample[];
}

/** Throws what snappyjs or protobufjs throw when `body` is not a write request. */
export function decodeWriteRequest(body: Uint8Array, decodedBytesMax: number): WrittenSeries[] {
  const message = WriteRequest.decode(snappy.uncompress(body, decodedBytesMax));
  const { timeseries } = WriteRequest.toObject(message, { arrays: true, defaults: true });
  return (timeseries as TimeSeries[]).map(({ labels, samples }) => ({
    labels: sorted(
      labels.filter(({ value }) => value !== '').map(({ name, value }) => [name, value]),
    ),
    samples: samples.map(({ value, timestamp }) => {
      return [wholeOf(timestamp), value.low | 0, value.high | 0];
    }),
  }));
}

/** The body of a remote write; labels need not be in order. */
export function encodeWriteRequest(written: readonly WrittenSeries[]): Uint8Array {
  const timeseries = written.map(({ labels, samples }) => ({
    labels: sorted(labels).map(([name, value]) => ({ name, value })),
    samples: samples.map(([timestamp, low, high]) => {
      return { value: { low, high }, timestamp: halvesOf(timestamp) };
    }),
  }));
  return snappy.compress(WriteRequest.encode(WriteRequest.create({ timeseries })).finish());
}

function sorted(labels: [string, string][]): [string, string][] {
  return labels.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** A whole number within ±2^53 in two's complement. */
function halvesOf(whole: number): Halves {
  return { low: whole >>> 0, high: Math.floor(whole / 2 ** 32) };
}

function wholeOf({ low, high }: Halves): number {
  return (high | 0) * 2 ** 32 + (low >>> 0);
}

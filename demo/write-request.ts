import protobuf from 'protobufjs';

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

/** 64 bits in two halves. */
export interface Halves {
  low: number;
  high: number;
}

export interface WrittenSeries {
  labels: { name: string; value: string }[];
  samples: { value: Halves; timestamp: Halves }[];
}

/** Throws what protobufjs throws when `bytes` are not a write request. */
export function decodeWriteRequest(bytes: Uint8Array): WrittenSeries[] {
  const message = WriteRequest.toObject(WriteRequest.decode(bytes), {
    arrays: true,
    defaults: true,
  });
  return message['timeseries'] as WrittenSeries[];
}

export function encodeWriteRequest(timeseries: WrittenSeries[]): Uint8Array {
  return WriteRequest.encode(WriteRequest.create({ timeseries })).finish();
}

/** The halves of a whole number, negative ones in two's complement. */
export function halvesOf(whole: number): Halves {
  return { low: whole >>> 0, high: Math.floor(whole / 2 ** 32) };
}

/** The whole number in `halves`; exact within ±2^53. */
export function wholeOf(halves: Halves): number {
  return (halves.high | 0) * 2 ** 32 + (halves.low >>> 0);
}

import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

// Protobuf written by hand, so that a test can write what no encoder would.

/** @param padding bytes by which the varint is longer than it need be */
export function varint(value: number | bigint, padding = 0): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  for (let i = 0; i < padding; i++) {
    bytes[bytes.length - 1]! |= 0x80;
    bytes.push(0);
  }
  return bytes;
}

/** A field of strings, bytes or messages. */
export function field(number: number, content: Iterable<number> | string, padding = 0): number[] {
  const bytes = typeof content === 'string' ? [...Buffer.from(content)] : [...content];
  return [...varint(number * 8 + 2, padding), ...varint(bytes.length, padding), ...bytes];
}

export function label(name: string, value: string): number[] {
  return field(1, [...field(1, name), ...field(2, value)]);
}

/** `labels` fields in the order given. */
export function labels(...pairs: (readonly [string, string])[]): Uint8Array {
  return Uint8Array.from(pairs.flatMap(([name, value]) => label(name, value)));
}

export function sample(timestamp: number | bigint, bits: bigint): number[] {
  const value = [0x09, ...fixed64(bits)];
  return field(2, [...value, 0x10, ...varint(timestamp)]);
}

export function fixed64(bits: bigint): number[] {
  return Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn));
}

/** A WriteRequest of series, each the bytes of its fields. */
export function writeRequest(...series: Iterable<number>[]): Uint8Array {
  return Uint8Array.from(series.flatMap((fields) => field(1, fields)));
}

/**
 * version-1.proto with two changes that keep everything exact: a double is read as fixed64,
 * which is the same eight bytes on the wire, and texts are read as bytes.
 */
export function exactWriteRequestType(): protobuf.Type {
  const file = new URL('../../proto/remote-write/version-1.proto', import.meta.url);
  const text = readFileSync(file, 'utf8').replaceAll('double ', 'fixed64 ');
  return protobuf
    .parse(text.replaceAll('string ', 'bytes '))
    .root.lookupType('prometheus.WriteRequest');
}

export interface Halves {
  low: number;
  high: number;
}

/** 64 bits as protobufjs reads them; a field that is missing is the plain number 0. */
export function unsigned64(value: Halves | number): bigint {
  if (typeof value === 'number') return BigInt.asUintN(64, BigInt(value));
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}

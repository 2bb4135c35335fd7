import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { field, fixed64, varint } from './wire-fixture.ts';

// Requests of remote write 2.0 written by hand; `sample` of wire-fixture.ts serves both versions.

/** Names a text in the symbols of the request being written. */
export type Reference = (text: string) => number;

export interface Series2 {
  labels?: readonly (readonly [string, string])[];
  /** In place of labels. */
  refs?: readonly number[];
  /** What else the series holds. */
  fields?: (reference: Reference) => number[];
}

/** A request in which the symbols stand first and the first one is empty. */
export function request2(...series: Series2[]): Uint8Array {
  const symbols = new Map([['', 0]]);
  const reference = (text: string): number => {
    if (!symbols.has(text)) symbols.set(text, symbols.size);
    return symbols.get(text)!;
  };
  const timeseries = series.flatMap(({ labels = [], refs, fields }) => {
    const references = refs ?? labels.flat().map(reference);
    return field(5, [...labelsRefs(references), ...(fields?.(reference) ?? [])]);
  });
  const texts = [...symbols.keys()].flatMap((text) => field(4, text));
  return Uint8Array.from([...texts, ...timeseries]);
}

export function labelsRefs(references: readonly number[]): number[] {
  return field(
    1,
    references.flatMap((reference) => varint(reference)),
  );
}

export function histogram2(message: Iterable<number>): number[] {
  return field(3, message);
}

export function exemplar2(
  references: readonly number[],
  { timestamp = 1, bits = 1n }: { timestamp?: number; bits?: bigint } = {},
): number[] {
  const value = [0x11, ...fixed64(bits)];
  return field(4, [...labelsRefs(references), ...value, 0x18, ...varint(timestamp)]);
}

export function metadata2(type: number, help: number, unit: number): number[] {
  return field(5, [0x08, ...varint(type), 0x18, ...varint(help), 0x20, ...varint(unit)]);
}

/** version-2.proto; as exactWriteRequestType does it, doubles are fixed64 and texts bytes. */
export function exactRequest2Type(): protobuf.Type {
  const file = new URL('../../proto/remote-write/version-2.proto', import.meta.url);
  const text = readFileSync(file, 'utf8').replaceAll('double ', 'fixed64 ');
  return protobuf
    .parse(text.replaceAll('string ', 'bytes '))
    .root.lookupType('io.prometheus.write.v2.Request');
}

import { isUtf8 } from 'node:buffer';
import { ByteReader, ByteWriter, DecodeError, utf8Text } from './bytes.ts';
import { decodeMetadata, type MetricMetadata } from './metric-metadata.ts';

// An entry of the dictionary log; its bytes are what the hash chain runs over.
//
//   kind     1 byte   1 series, 2 metadata
//   tenant   varint length, UTF-8; empty: the hub's default for the agent
//   payload  to the end: the canonical label set, or the canonical MetricMetadata

const SERIES = 1;
const METADATA = 2;

export type DictionaryEntry =
  /** `labels`: canonical label set, a view into the entry. */
  | { kind: 'series'; tenant: string; labels: Uint8Array }
  /** `bytes`: canonical MetricMetadata, a view into the entry. */
  | ({ kind: 'metadata'; tenant: string; bytes: Uint8Array } & MetricMetadata);

/** @param labels canonical label set */
export function encodeSeriesEntry(tenant: string, labels: Uint8Array): Uint8Array {
  return encodeEntry(SERIES, tenant, labels);
}

/** @param metadata canonical MetricMetadata */
export function encodeMetadataEntry(tenant: string, metadata: Uint8Array): Uint8Array {
  return encodeEntry(METADATA, tenant, metadata);
}

function encodeEntry(kind: number, tenant: string, payload: Uint8Array): Uint8Array {
  const name = Buffer.from(tenant);
  const writer = new ByteWriter(name.length + payload.length + 3);
  writer.byte(kind);
  writer.varint(name.length);
  writer.raw(name);
  writer.raw(payload);
  return writer.finish();
}

/**
 * Whether the payload is canonical is not looked at.
 *
 * @throws DecodeError
 */
export function decodeEntry(bytes: Uint8Array): DictionaryEntry {
  const reader = new ByteReader(bytes);
  const kind = reader.byte();
  const name = reader.raw(reader.varint());
  if (!isUtf8(name)) throw new DecodeError('a dictionary entry whose tenant is not UTF-8');
  const tenant = utf8Text(name);
  const payload = reader.raw(reader.end - reader.at);
  switch (kind) {
    case SERIES:
      return { kind: 'series', tenant, labels: payload };
    case METADATA:
      return { kind: 'metadata', tenant, bytes: payload, ...decodeMetadata(payload) };
    default:
      throw new DecodeError(`a dictionary entry of kind ${kind}`);
  }
}

import { compress } from 'snappyjs';
import { ByteWriter } from '../bytes.ts';
import { writeBytesField } from '../field-writer.ts';

/** message WriteRequest { repeated MetricMetadata metadata = 3; } */
const METADATA_TAG = 0x1a;

/** A remote-write 1.0 body that carries metadata and no series, as Prometheus sends it. */
export function encodeMetadataRequest(records: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter();
  for (const record of records) writeBytesField(writer, METADATA_TAG, record);
  return compress(writer.finish());
}

import { ByteWriter, DecodeError, utf8Text } from './bytes.ts';
import { FieldCursor } from './field-cursor.ts';
import { writeBytesField } from './field-writer.ts';

// message MetricMetadata {
//   MetricType type = 1;
//   string metric_family_name = 2;
//   string help = 4;
//   string unit = 5;
// }
//
// Canonical: these fields in this order, empty ones left out, no others, shortest varints.

const TYPE_TAG = 0x08;
const FAMILY_TAG = 0x12;
const HELP_TAG = 0x22;
const UNIT_TAG = 0x2a;
const TYPE_MAX = 2 ** 31 - 1;

/** Limit for one metadata record as received. */
export const METADATA_BYTES_MAX = 65_536;

/** What a metric family is; bytes that are no UTF-8 show as U+FFFD here. */
export interface MetricMetadata {
  /** MetricMetadata.MetricType of Prometheus; 0 is unknown. */
  type: number;
  family: string;
  help: string;
  unit: string;
}

interface RawMetadata {
  type: number;
  family: Uint8Array;
  help: Uint8Array;
  unit: Uint8Array;
}

/**
 * The canonical form of the message in bytes [from, to), or undefined when it names no family or
 * is over METADATA_BYTES_MAX.
 *
 * @throws DecodeError
 */
export function canonicalMetadata(
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
): Uint8Array | undefined {
  if (to - from > METADATA_BYTES_MAX) return undefined;
  const { type, family, help, unit } = readMetadata(bytes, from, to);
  if (family.length === 0) return undefined;
  const writer = new ByteWriter(to - from);
  if (type !== 0) {
    writer.byte(TYPE_TAG);
    writer.varint(type);
  }
  writeText(writer, FAMILY_TAG, family);
  writeText(writer, HELP_TAG, help);
  writeText(writer, UNIT_TAG, unit);
  return writer.finish();
}

/** @throws DecodeError */
export function decodeMetadata(bytes: Uint8Array): MetricMetadata {
  const { type, family, help, unit } = readMetadata(bytes, 0, bytes.length);
  return { type, family: utf8Text(family), help: utf8Text(help), unit: utf8Text(unit) };
}

function writeText(writer: ByteWriter, tag: number, content: Uint8Array): void {
  if (content.length > 0) writeBytesField(writer, tag, content);
}

function readMetadata(bytes: Uint8Array, from: number, to: number): RawMetadata {
  const nothing = new Uint8Array(0);
  const metadata: RawMetadata = { type: 0, family: nothing, help: nothing, unit: nothing };
  const cursor = new FieldCursor(bytes, from, to);
  while (cursor.at < to) {
    const tag = cursor.tag();
    switch (tag) {
      case TYPE_TAG: {
        const type = cursor.int64();
        metadata.type = type >= 0 && type <= TYPE_MAX ? type : 0;
        break;
      }
      case FAMILY_TAG:
        metadata.family = cursor.content();
        break;
      case HELP_TAG:
        metadata.help = cursor.content();
        break;
      case UNIT_TAG:
        metadata.unit = cursor.content();
        break;
      default:
        if (isKnownField(tag >>> 3)) {
          throw new DecodeError(`MetricMetadata: field ${tag >>> 3} has the wrong wire type`);
        }
        cursor.skip(tag);
    }
  }
  return metadata;
}

function isKnownField(field: number): boolean {
  return field === 1 || field === 2 || field === 4 || field === 5;
}

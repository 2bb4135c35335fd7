import { type ByteReader, ByteWriter, DecodeError } from './bytes.ts';
import type { SampleColumns } from './sample-columns.ts';

/**
 * Samples as three plain columns, self-contained and cheap to write; zstd does the rest.
 *
 *     ids         per sample: zigzag of the difference to the sample before (the first: to 0)
 *     mode        one byte: 0 timestamps as differences, 1 timestamps as they are
 *     timestamps  per sample: zigzag, milliseconds
 *     values      per sample: 8 bytes, IEEE 754, little-endian
 *
 * The number of samples travels beside it. Used for segments on disk and as samples format 1.
 */
const DIFFERENCES = 0;
const ABSOLUTE = 1;
/** id, timestamp and value of a sample take at least this many bytes. */
const SAMPLE_BYTES_MIN = 1 + 1 + 8;

export function encodeColumns(columns: SampleColumns, writer = new ByteWriter()): ByteWriter {
  const { ids, timestamps, valueBits, count } = columns;
  let id = 0;
  for (let row = 0; row < count; row++) {
    const next = ids[row]!;
    writer.zigzag(next - id);
    id = next;
  }
  const mode = differencesFit(columns) ? DIFFERENCES : ABSOLUTE;
  writer.byte(mode);
  let base = 0;
  for (let row = 0; row < count; row++) {
    const timestamp = timestamps[row]!;
    writer.zigzag(timestamp - base);
    if (mode === DIFFERENCES) base = timestamp;
  }
  writer.reserve(count * 8);
  for (let half = 0; half < count * 2; half++) writer.uint32(valueBits[half]!);
  return writer;
}

/** Between two timestamps near -2^53 and 2^53 lies more than a double holds exactly. */
function differencesFit({ timestamps, count }: SampleColumns): boolean {
  let base = 0;
  for (let row = 0; row < count; row++) {
    const timestamp = timestamps[row]!;
    if (!Number.isSafeInteger(timestamp - base)) return false;
    base = timestamp;
  }
  return true;
}

/**
 * Appends `count` samples to `into`; on an error `into` is as it was.
 *
 * @throws DecodeError
 */
export function decodeColumns(reader: ByteReader, count: number, into: SampleColumns): void {
  if (count * SAMPLE_BYTES_MIN > reader.end - reader.at) {
    throw new DecodeError(`columns: ${count} samples do not fit ${reader.end - reader.at} bytes`);
  }
  const start = into.count;
  into.reserve(start + count);
  let id = 0;
  for (let row = start; row < start + count; row++) {
    id += reader.zigzag();
    if (id < 0 || id > 0xffffffff) throw new DecodeError(`columns: id ${id}`);
    into.ids[row] = id;
  }
  const mode = reader.byte();
  if (mode !== DIFFERENCES && mode !== ABSOLUTE) throw new DecodeError(`columns: mode ${mode}`);
  let timestamp = 0;
  for (let row = start; row < start + count; row++) {
    timestamp = reader.zigzag() + (mode === DIFFERENCES ? timestamp : 0);
    if (Math.abs(timestamp) > 2 ** 53) throw new DecodeError(`columns: timestamp ${timestamp}`);
    into.timestamps[row] = timestamp;
  }
  for (let half = start * 2; half < (start + count) * 2; half++) {
    into.valueBits[half] = reader.uint32();
  }
  into.count = start + count;
}

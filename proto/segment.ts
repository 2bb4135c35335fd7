import { ByteReader, DecodeError } from './bytes.ts';
import { decodeBeside, encodeBeside } from './columns-beside.ts';
import { decodeColumns, encodeColumns } from './columns-codec.ts';
import type { SampleColumns } from './sample-columns.ts';
import { compressFrame, decompressFrame } from './zstd.ts';

/**
 * A segment on the agent's disk: samples of one tenant that were committed together,
 * self-contained, as one zstd frame around plain columns. Level 1: it lives for seconds as a rule.
 */
const ZSTD_LEVEL = 1;
/** Far more than the limits below allow. */
const CONTENT_BYTES_MAX = 128 * 2 ** 20;

/** More samples become several segments, so that a batch never has to hold more. */
export const SEGMENT_SAMPLES_MAX = 50_000;
/** The same for the bytes of native histograms and exemplars. */
export const SEGMENT_OBJECT_BYTES_MAX = 4 * 2 ** 20;

export function encodeSegment(columns: SampleColumns): Uint8Array {
  const writer = encodeColumns(columns);
  encodeBeside(columns, writer);
  return compressFrame(writer.bytes.subarray(0, writer.length), ZSTD_LEVEL);
}

/**
 * Appends the `count` samples of a segment to `into`.
 *
 * @throws DecodeError, FrameError
 */
export function decodeSegment(body: Uint8Array, count: number, into: SampleColumns): void {
  if (count > SEGMENT_SAMPLES_MAX) throw new DecodeError(`segment: ${count} samples`);
  const rows = into.count;
  const reader = new ByteReader(decompressFrame(body, CONTENT_BYTES_MAX));
  try {
    decodeColumns(reader, count, into);
    if (!reader.done) decodeBeside(reader, rows, into);
    if (!reader.done) throw new DecodeError(`segment: ${reader.end - reader.at} bytes too many`);
  } catch (error) {
    into.truncate(rows);
    throw error;
  }
}

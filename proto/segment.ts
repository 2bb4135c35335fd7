import { ByteReader, DecodeError } from './bytes.ts';
import { decodeColumns, encodeColumns } from './columns-codec.ts';
import type { SampleColumns } from './sample-columns.ts';
import { compressFrame, decompressFrame } from './zstd.ts';

/**
 * A segment on the agent's disk: samples of one tenant that were committed together,
 * self-contained, as one zstd frame around plain columns. Level 1: it lives for seconds as a rule.
 */
const ZSTD_LEVEL = 1;
/** What an append may bring at most, see SEGMENT_SAMPLES_MAX, at 26 bytes a sample. */
const CONTENT_BYTES_MAX = 128 * 2 ** 20;

/** More samples become several segments, so that a batch never has to hold more. */
export const SEGMENT_SAMPLES_MAX = 50_000;

export function encodeSegment(columns: SampleColumns): Uint8Array {
  const writer = encodeColumns(columns);
  return compressFrame(writer.bytes.subarray(0, writer.length), ZSTD_LEVEL);
}

/**
 * Appends the `count` samples of a segment to `into`.
 *
 * @throws DecodeError, FrameError
 */
export function decodeSegment(body: Uint8Array, count: number, into: SampleColumns): void {
  if (count > SEGMENT_SAMPLES_MAX) throw new DecodeError(`segment: ${count} samples`);
  decodeColumns(new ByteReader(decompressFrame(body, CONTENT_BYTES_MAX)), count, into);
}

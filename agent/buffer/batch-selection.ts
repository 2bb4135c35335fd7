import { foreignFrameBytes } from '../../proto/zstd.ts';
import type { StoredSegment } from './segment-table.ts';

/**
 * What one batch may span. The hub writes a batch over several lanes at once: were one of them far
 * ahead, a destination that refuses samples an hour behind its newest would refuse the others'.
 */
export const BATCH_SPAN_MAX_MS = 600_000;

/**
 * Of the segments' bodies: native histograms are large, and what makes one batch has to be decoded
 * by the hub as a whole. Floats of any number of samples that a batch may have are less.
 */
export const BATCH_BODY_BYTES_MAX = 4 * 2 ** 20;

/**
 * Of what is in those bodies: histograms of idle targets are alike, and compress to a thousandth.
 * Far below `limits.max_decoded_batch` of a hub; as many floats as a batch may have are less.
 */
export const BATCH_CONTENT_BYTES_MAX = 16 * 2 ** 20;

export interface BatchSelection {
  segments: StoredSegment[];
  /** Met on the way; without their bodies, so that a disk full of them fits into memory. */
  damaged: Omit<StoredSegment, 'body'>[];
}

/**
 * The first of `stored` that make one batch: at least one intact segment if there is any, then as
 * many of the same epoch as fit `samplesMax` and the limits above.
 */
export function selectBatch(stored: Iterable<StoredSegment>, samplesMax: number): BatchSelection {
  const segments: StoredSegment[] = [];
  const damaged: BatchSelection['damaged'] = [];
  let samples = 0;
  let bytes = 0;
  let contentBytes = 0;
  let oldest = Number.POSITIVE_INFINITY;
  let newest = Number.NEGATIVE_INFINITY;
  for (const segment of stored) {
    if (!segment.isIntact) {
      const { body: _, ...rest } = segment;
      damaged.push(rest);
      continue;
    }
    oldest = Math.min(oldest, segment.oldest);
    newest = Math.max(newest, segment.newest);
    const { epoch } = segments[0] ?? segment;
    bytes += segment.body.length;
    contentBytes += foreignFrameBytes(segment.body) ?? segment.body.length;
    const fits =
      samples + segment.samples <= samplesMax &&
      bytes <= BATCH_BODY_BYTES_MAX &&
      contentBytes <= BATCH_CONTENT_BYTES_MAX &&
      newest - oldest <= BATCH_SPAN_MAX_MS;
    if (segments.length > 0 && (!fits || segment.epoch !== epoch)) break;
    samples += segment.samples;
    segments.push(segment);
    if (samples >= samplesMax) break;
  }
  return { segments, damaged };
}

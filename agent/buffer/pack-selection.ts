import { BATCH_SPAN_MAX_MS } from './batch-selection.ts';
import type { SegmentHead } from './segment-table.ts';

/** What is around the segments. */
export interface Surroundings {
  isPinned(segment: SegmentHead): boolean;
  /** Whether a pack of the tenant lies between two segments: samples would change places with it. */
  isPackBetween(one: SegmentHead, other: SegmentHead): boolean;
}

export interface PackLimits {
  samplesMax: number;
  /** Absent: any number. */
  segmentsMax?: number;
  /** What was stored after this, by the clock that never jumps, may soon be sent as it is. */
  storedBefore: number;
  /** What has a lower id is a backlog for sure: it is packed at once, however little it is. */
  backlogEnd: number;
}

/**
 * The oldest of a tenant's segments that make a pack, or several: of one epoch, side by side in the sample log,
 * none of them pinned. Packs that could still grow are left alone, so that a backlog does not
 * become a heap of small ones.
 *
 * @param stored segments of one tenant, oldest first
 * @param freshFrom the lowest id that was stored after `storedBefore`
 */
export function selectPack(
  stored: Iterable<SegmentHead>,
  { isPinned, isPackBetween }: Surroundings,
  {
    samplesMax,
    segmentsMax = Number.POSITIVE_INFINITY,
    freshFrom,
    backlogEnd,
  }: PackLimits & { freshFrom: number },
): SegmentHead[] {
  const segments: SegmentHead[] = [];
  let samples = 0;
  let oldest = Number.POSITIVE_INFINITY;
  let newest = Number.NEGATIVE_INFINITY;
  for (const segment of stored) {
    if (isPinned(segment)) {
      if (segments.length === 0) continue;
      break;
    }
    samples += segment.samples;
    oldest = Math.min(oldest, segment.oldest);
    newest = Math.max(newest, segment.newest);
    const first = segments[0] ?? segment;
    const fits =
      samples <= samplesMax &&
      segments.length < segmentsMax &&
      newest - oldest <= BATCH_SPAN_MAX_MS;
    const belongs = segment.epoch === first.epoch && !isPackBetween(first, segment);
    if (segments.length > 0 && !(fits && belongs)) return segments;
    if (segment.id >= backlogEnd && segment.id >= freshFrom) break;
    segments.push(segment);
  }
  return segments.filter(({ id }) => id < backlogEnd);
}

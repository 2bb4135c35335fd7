import type { SampleColumns } from './sample-columns.ts';

/** Oldest and newest timestamp in columns that are not empty, in ms since the Unix epoch. */
export function timeRange({ timestamps, count }: SampleColumns): {
  oldest: number;
  newest: number;
} {
  let oldest = Number.POSITIVE_INFINITY;
  let newest = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row++) {
    const timestamp = timestamps[row]!;
    if (timestamp < oldest) oldest = timestamp;
    if (timestamp > newest) newest = timestamp;
  }
  return { oldest, newest };
}

/**
 * Timestamp of the newest sample: exemplars, which may be ahead of their time, advance nothing at a
 * destination. Of exemplars alone, their newest.
 */
export function newestSample(columns: SampleColumns): number {
  const { timestamps, count } = columns;
  const exemplars = columns.objects.filter(({ kind }) => kind === 'exemplar');
  if (exemplars.length === count) return timeRange(columns).newest;
  let newest = Number.NEGATIVE_INFINITY;
  let next = 0;
  for (let row = 0; row < count; row++) {
    if (exemplars[next]?.row === row) next++;
    else newest = Math.max(newest, timestamps[row]!);
  }
  return newest;
}

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

import type { SampleColumns } from './sample-columns.ts';

/** In ms since the Unix epoch, both included; of nothing ∞ and -∞. */
export interface TimeRange {
  oldest: number;
  newest: number;
}

/** Oldest and newest timestamp in columns. */
export function timeRange({ timestamps, count }: SampleColumns): TimeRange {
  let oldest = Number.POSITIVE_INFINITY;
  let newest = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row++) {
    const timestamp = timestamps[row]!;
    if (timestamp < oldest) oldest = timestamp;
    if (timestamp > newest) newest = timestamp;
  }
  return { oldest, newest };
}

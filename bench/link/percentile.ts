/**
 * The smallest value that at least `share` of all values do not exceed (nearest rank).
 *
 * @param sorted ascending; what has not happened is Infinity and comes last
 * @param share above 0, at most 1
 * @returns NaN when there are no values
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The middle one, the lower of two; NaN of none. */
export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((one, other) => one - other),
    0.5,
  );
}

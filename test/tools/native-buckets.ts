/** A run of neighbouring buckets; `offset` counts from the end of the span before. */
export interface BucketSpan {
  offset: number;
  length: number;
}

/** Populated buckets of one sign, as the exposition carries them. */
export interface Buckets {
  spans: BucketSpan[];
  /** One count per bucket of the spans, in their order. */
  counts: number[];
}

/** Gaps up to this many empty buckets are filled, as the client libraries do. */
const filledGapMax = 2;

/**
 * Index of the bucket that `value` (above zero) falls into: bucket i of schema s ends at
 * 2^(i / 2^s), that bound included.
 */
export function bucketIndex(value: number, schema: number): number {
  return Math.ceil(Math.log2(value) * 2 ** schema);
}

/** The buckets that `values`, all above zero, fill. */
export function bucketsOf(values: readonly number[], schema: number): Buckets {
  const counts = new Map<number, number>();
  for (const value of values) {
    const index = bucketIndex(value, schema);
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  const buckets: Buckets = { spans: [], counts: [] };
  let end: number | undefined;
  for (const index of [...counts.keys()].sort((a, b) => a - b)) {
    const gap = index - (end ?? 0);
    const last = buckets.spans.at(-1);
    if (last === undefined || gap > filledGapMax) buckets.spans.push({ offset: gap, length: 1 });
    else {
      last.length += gap + 1;
      for (let empty = 0; empty < gap; empty++) buckets.counts.push(0);
    }
    buckets.counts.push(counts.get(index)!);
    end = index + 1;
  }
  return buckets;
}

/** Counts as integer histograms carry them: the first, then what each adds to the one before. */
export function deltasOf(counts: readonly number[]): number[] {
  return counts.map((count, at) => count - (counts[at - 1] ?? 0));
}

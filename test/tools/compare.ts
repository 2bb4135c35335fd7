/** One sample as it is compared: a value is its IEEE 754 bits. */
export interface SampleBits {
  /** Milliseconds since the Unix epoch. */
  timestamp: number;
  bits: bigint;
}

/** Samples in the order in which they came, by canonical label set (`labelSetString`). */
export type SamplesBySeries = Map<string, SampleBits[]>;

const differencesMax = 20;

/** `{__name__="up", instance="a"}`: labels sorted by name, values quoted as JSON strings. */
export function labelSetString(labels: Iterable<readonly [string, string]>): string {
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${sorted.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}

export function sampleCount(samples: SamplesBySeries): number {
  let count = 0;
  for (const series of samples.values()) count += series.length;
  return count;
}

/**
 * What differs, one line each; empty when destination and source hold the same series with the
 * same samples in the same order, bit for bit. At most one line per series and 20 in all.
 */
export function compareSamples(source: SamplesBySeries, destination: SamplesBySeries): string[] {
  const differences: string[] = [];
  for (const [series, expected] of source) {
    const difference = compareSeries(expected, destination.get(series));
    if (difference !== undefined) differences.push(`${series}: ${difference}`);
  }
  for (const [series, samples] of destination) {
    if (!source.has(series))
      differences.push(`${series}: only at the destination, ${samples.length} samples`);
  }
  const more = differences.length - differencesMax;
  if (more <= 0) return differences;
  return [...differences.slice(0, differencesMax), `and ${more} more series that differ`];
}

function compareSeries(
  expected: SampleBits[],
  found: SampleBits[] | undefined,
): string | undefined {
  if (found === undefined) return `missing at the destination, ${expected.length} samples`;
  const row = firstDifference(expected, found);
  if (row === undefined) return undefined;
  const counts =
    expected.length === found.length ? '' : `, ${expected.length} samples against ${found.length}`;
  return `sample ${row} is ${describe(expected[row])} at the source, ${describe(found[row])} at the destination${counts}`;
}

/** Index of the first sample that differs, the end of the shorter list included. */
function firstDifference(expected: SampleBits[], found: SampleBits[]): number | undefined {
  const rows = Math.max(expected.length, found.length);
  for (let row = 0; row < rows; row++) {
    const [a, b] = [expected[row], found[row]];
    if (a?.timestamp !== b?.timestamp || a?.bits !== b?.bits) return row;
  }
  return undefined;
}

function describe(sample: SampleBits | undefined): string {
  if (sample === undefined) return 'absent';
  return `${new Date(sample.timestamp).toISOString()} 0x${sample.bits.toString(16).padStart(16, '0')}`;
}

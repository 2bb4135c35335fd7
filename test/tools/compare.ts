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
  return compareBySeries(source, destination, {
    noun: 'sample',
    equal: (a, b) => a.bits === b.bits,
    describe: ({ bits }) => `0x${bits.toString(16).padStart(16, '0')}`,
  });
}

/** How points of one kind are compared, their timestamps apart. */
export interface PointKind<Point> {
  noun: string;
  equal(a: Point, b: Point): boolean;
  describe(point: Point): string;
}

/** `compareSamples` for points of any kind. */
export function compareBySeries<Point extends { timestamp: number }>(
  source: Map<string, Point[]>,
  destination: Map<string, Point[]>,
  kind: PointKind<Point>,
): string[] {
  const differences: string[] = [];
  for (const [series, expected] of source) {
    const difference = compareSeries(expected, destination.get(series), kind);
    if (difference !== undefined) differences.push(`${series}: ${difference}`);
  }
  for (const [series, points] of destination) {
    if (!source.has(series))
      differences.push(`${series}: only at the destination, ${points.length} ${kind.noun}s`);
  }
  const more = differences.length - differencesMax;
  if (more <= 0) return differences;
  return [...differences.slice(0, differencesMax), `and ${more} more series that differ`];
}

function compareSeries<Point extends { timestamp: number }>(
  expected: Point[],
  found: Point[] | undefined,
  kind: PointKind<Point>,
): string | undefined {
  const { noun } = kind;
  if (found === undefined) return `missing at the destination, ${expected.length} ${noun}s`;
  const row = firstDifference(expected, found, kind);
  if (row === undefined) return undefined;
  const [a, b] = [describe(expected[row], kind), describe(found[row], kind)];
  const counts =
    expected.length === found.length ? '' : `, ${expected.length} ${noun}s against ${found.length}`;
  return `${noun} ${row} is ${a} at the source, ${b} at the destination${counts}`;
}

/** Index of the first point that differs, the end of the shorter list included. */
function firstDifference<Point extends { timestamp: number }>(
  expected: Point[],
  found: Point[],
  kind: PointKind<Point>,
): number | undefined {
  const rows = Math.max(expected.length, found.length);
  for (let row = 0; row < rows; row++) {
    const [a, b] = [expected[row], found[row]];
    if (a === undefined || b === undefined || a.timestamp !== b.timestamp) return row;
    if (!kind.equal(a, b)) return row;
  }
  return undefined;
}

function describe<Point extends { timestamp: number }>(
  point: Point | undefined,
  kind: PointKind<Point>,
): string {
  if (point === undefined) return 'absent';
  return `${new Date(point.timestamp).toISOString()} ${kind.describe(point)}`;
}

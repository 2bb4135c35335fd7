import { compareBySeries, type SampleBits } from './compare.ts';
import {
  bigintOf,
  bitsOf,
  type DecodedHistogram,
  type DecodedSpan,
  type Halves,
  millisecondsOf,
} from './series-messages.ts';

/** What a histogram says about the one before it in its series. */
const resetHints = ['unknown', 'reset', 'no reset', 'gauge'] as const;
export type ResetHint = (typeof resetHints)[number];

/** One native histogram as it is compared. */
export interface HistogramPoint {
  /** Milliseconds since the Unix epoch. */
  timestamp: number;
  /**
   * Everything but the hint: doubles as their bits, populated buckets by index. Empty buckets are
   * left out: a store writes all histograms of a chunk with the spans of the chunk, so it hands
   * out zeros for buckets that others of the same chunk have. A stale marker is `stale` alone:
   * only its sum counts, and stores choose the rest of it themselves.
   */
  value: string;
  resetHint: ResetHint;
}

/** Histograms in the order in which they came, by canonical label set (`labelSetString`). */
export type HistogramsBySeries = Map<string, HistogramPoint[]>;

/** In place of a histogram's sum, or of a sample: the series has ended. */
const staleMarkerBits = 0x7ff0_0000_0000_0002n;

export function histogramPoint(histogram: DecodedHistogram): HistogramPoint {
  const timestamp = millisecondsOf(histogram.timestamp);
  const resetHint = resetHints[histogram.resetHint] ?? 'unknown';
  const isStale = bitsOf(histogram.sum) === staleMarkerBits;
  return { timestamp, resetHint, value: isStale ? 'stale' : notation(histogram) };
}

/**
 * What differs, one line each, as `compareSamples` says it. Of the hints only `gauge` counts:
 * senders write the others as `unknown`, and a store finds resets itself, chunk by chunk.
 */
export function compareHistograms(
  source: HistogramsBySeries,
  destination: HistogramsBySeries,
): string[] {
  const isGauge = ({ resetHint }: HistogramPoint) => resetHint === 'gauge';
  return compareBySeries(source, destination, {
    noun: 'histogram',
    equal: (a, b) => a.value === b.value && isGauge(a) === isGauge(b),
    describe: (point) => (isGauge(point) ? `gauge, ${point.value}` : point.value),
  });
}

/** A stale marker that came as a float sample, as a store keeps it in a series of histograms. */
export function staleHistogram({ timestamp, bits }: SampleBits): HistogramPoint | undefined {
  if (bits !== staleMarkerBits) return undefined;
  return { timestamp, resetHint: 'unknown', value: 'stale' };
}

function notation(histogram: DecodedHistogram): string {
  const isFloat = Object.hasOwn(histogram, 'countFloat');
  const count = isFloat ? hex(histogram.countFloat) : String(bigintOf(histogram.countInt));
  const zeros = isFloat ? hex(histogram.zeroCountFloat) : String(bigintOf(histogram.zeroCountInt));
  const buckets = (spans: DecodedSpan[], deltas: Halves[], counts: Halves[]) =>
    populated(spans, isFloat ? counts.map(floatCount) : integerCounts(deltas));
  const { negativeSpans, negativeDeltas, negativeCounts } = histogram;
  const { positiveSpans, positiveDeltas, positiveCounts } = histogram;
  return [
    `schema ${histogram.schema}`,
    `count ${count}`,
    `sum ${hex(histogram.sum)}`,
    `zero ${hex(histogram.zeroThreshold)} ${zeros}`,
    `negative ${buckets(negativeSpans, negativeDeltas, negativeCounts)}`,
    `positive ${buckets(positiveSpans, positiveDeltas, positiveCounts)}`,
    `custom ${histogram.customValues.map(hex).join(' ')}`,
  ].join(', ');
}

function integerCounts(deltas: Halves[]): string[] {
  let count = 0n;
  return deltas.map((delta) => {
    count += bigintOf(delta);
    return count === 0n ? '' : String(count);
  });
}

/** Minus zero is no empty bucket: nothing that was written may be lost in the notation. */
function floatCount(count: Halves): string {
  return bitsOf(count) === 0n ? '' : hex(count);
}

/** `-3:2 4:1`: index and count of the buckets that are not empty (''). */
function populated(spans: DecodedSpan[], counts: string[]): string {
  const buckets: string[] = [];
  let index = 0;
  let at = 0;
  for (const { offset, length } of spans) {
    index += offset;
    for (let bucket = 0; bucket < length; bucket++, index++, at++) {
      if (counts[at] !== '') buckets.push(`${index}:${counts[at]}`);
    }
  }
  // Counts beyond the spans, or spans beyond the counts, make no histogram.
  if (at !== counts.length) buckets.push(`${at} buckets for ${counts.length} counts`);
  return buckets.join(' ');
}

function hex(halves: Halves): string {
  return `0x${bitsOf(halves).toString(16).padStart(16, '0')}`;
}

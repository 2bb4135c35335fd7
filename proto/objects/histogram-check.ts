import { FieldCursor } from '../field-cursor.ts';
import { HistogramContent, type HistogramSide } from './histogram-content.ts';

// What Histogram.Validate and FloatHistogram.Validate of Prometheus refuse, in the same words:
// senders and their operators look for these.

const EXPONENTIAL_SCHEMA_MIN = -4;
export const EXPONENTIAL_SCHEMA_MAX = 8;
/** Up to here receivers take a schema and reduce it to EXPONENTIAL_SCHEMA_MAX. */
const REDUCIBLE_SCHEMA_MAX = 52;
const CUSTOM_BUCKETS_SCHEMA = -53;

const NEGATIVE_BUCKET = 'histogram has a bucket whose observation count is negative';
const SPANS_MISMATCH = 'histogram spans specify different number of buckets than provided';

/** Judges histograms one after the other; holds the memory that they share. */
export class HistogramCheck {
  /** Of the histogram that was judged last. */
  readonly content = new HistogramContent();

  /** Whether that histogram, in which no problem was found, has a schema to be reduced. */
  get isReducible(): boolean {
    return !this.content.isStale && this.content.schema > EXPONENTIAL_SCHEMA_MAX;
  }

  /**
   * Why receivers refuse the Histogram message in bytes [from, to), or undefined.
   *
   * @throws DecodeError
   */
  problemOf(bytes: Uint8Array, from: number, to: number): string | undefined {
    const { content } = this;
    content.read(new FieldCursor(bytes, from, to));
    if (content.isStale) return undefined;
    const problem = layoutProblem(content);
    if (problem !== undefined) return problem;
    if (content.isFloat) return floatCountsProblem(content);
    const quick = countsProblem(content);
    if (quick !== INEXACT) return quick;
    content.read(new FieldCursor(bytes, from, to), { exact: true });
    return exactCountsProblem(content);
  }
}

function layoutProblem(content: HistogramContent): string | undefined {
  const { schema, customValues, negative, positive } = content;
  if (schema === CUSTOM_BUCKETS_SCHEMA) return customBucketsProblem(content);
  if (schema < EXPONENTIAL_SCHEMA_MIN || schema > REDUCIBLE_SCHEMA_MAX) {
    const range = `between ${EXPONENTIAL_SCHEMA_MIN} and ${EXPONENTIAL_SCHEMA_MAX}`;
    const known = `${range} for exponential buckets, or ${CUSTOM_BUCKETS_SCHEMA} for custom buckets`;
    return `histogram has an invalid schema, which must be ${known}, got schema ${schema}`;
  }
  const positiveProblem = spansProblem(content, positive);
  if (positiveProblem !== undefined) return `positive side: ${positiveProblem}`;
  const negativeProblem = spansProblem(content, negative);
  if (negativeProblem !== undefined) return `negative side: ${negativeProblem}`;
  return customValues.length > 0
    ? 'histogram with exponential schema must not have custom bounds'
    : undefined;
}

/** Only the first span may begin below zero. */
function spansProblem(content: HistogramContent, side: HistogramSide): string | undefined {
  const { offsets, lengths } = side;
  let needed = 0;
  for (let span = 0; span < offsets.length; span++) {
    if (span > 0 && offsets[span]! < 0) return negativeOffset(span, offsets[span]!);
    needed += lengths[span]!;
  }
  return bucketsMismatch(needed, bucketsOf(content, side));
}

function negativeOffset(span: number, offset: number): string {
  const what = 'histogram has a span whose offset is negative';
  return `span number ${span + 1} with offset ${offset}: ${what}`;
}

function bucketsMismatch(needed: number, given: number): string | undefined {
  if (needed === given) return undefined;
  return `spans need ${needed} buckets, have ${given} buckets: ${SPANS_MISMATCH}`;
}

function bucketsOf({ isFloat }: HistogramContent, { counts, deltas }: HistogramSide): number {
  return isFloat ? counts.length : deltas.length;
}

function customBucketsProblem(content: HistogramContent): string | undefined {
  const { negative, zeroCount, zeroThreshold } = content;
  const problem = customBoundsProblem(content.customValues) ?? customSpansProblem(content);
  if (problem !== undefined) return `custom buckets: ${problem}`;
  // One beyond 2^53 is NaN here.
  if (zeroCount !== 0) return 'custom buckets: must have zero count of 0';
  if (zeroThreshold !== 0) return 'custom buckets: must have zero threshold of 0';
  if (negative.offsets.length > 0) return 'custom buckets: must not have negative spans';
  if (bucketsOf(content, negative) > 0) return 'custom buckets: must not have negative buckets';
  return undefined;
}

function customBoundsProblem(bounds: readonly number[]): string | undefined {
  let previous = Number.NEGATIVE_INFINITY;
  for (const bound of bounds) {
    if (Number.isNaN(bound)) return 'histogram custom bounds must not be NaN';
    if (bound <= previous) {
      const what = 'histogram custom bounds must be in strictly increasing order';
      return `previous bound is ${previous} and current is ${bound}: ${what}`;
    }
    previous = bound;
  }
  return previous === Number.POSITIVE_INFINITY
    ? 'last +Inf bound must not be explicitly defined: histogram custom bounds must be finite'
    : undefined;
}

function customSpansProblem(content: HistogramContent): string | undefined {
  const { offsets, lengths } = content.positive;
  let needed = 0;
  let covered = 0;
  for (let span = 0; span < offsets.length; span++) {
    if (offsets[span]! < 0) return negativeOffset(span, offsets[span]!);
    needed += lengths[span]!;
    covered += lengths[span]! + offsets[span]!;
  }
  const mismatch = bucketsMismatch(needed, bucketsOf(content, content.positive));
  if (mismatch !== undefined) return mismatch;
  const bounds = content.customValues.length;
  if (bounds + 1 >= covered) return undefined;
  const what = `only ${bounds} custom bounds defined which is insufficient`;
  return `${what} to cover total span length of ${covered}: histogram custom bounds are too few`;
}

/** The counts of a float histogram need not add up: rounding would make that a false alarm. */
function floatCountsProblem({
  negative,
  positive,
  zeroCount,
  count,
}: HistogramContent): string | undefined {
  const problem =
    sideProblem('negative', negative.counts) ?? sideProblem('positive', positive.counts);
  if (problem !== undefined) return problem;
  if (zeroCount < 0) return `zero bucket has observation count of ${zeroCount}: ${NEGATIVE_BUCKET}`;
  if (count < 0) {
    return `observation count is ${count}: histogram's observation count is negative`;
  }
  return undefined;
}

function sideProblem(side: string, counts: readonly (number | bigint)[]): string | undefined {
  const bucket = counts.findIndex((count) => count < 0);
  if (bucket < 0) return undefined;
  const what = `bucket number ${bucket + 1} has observation count of ${counts[bucket]}`;
  return `${side} side: ${what}: ${NEGATIVE_BUCKET}`;
}

/** Something is beyond 2^53: the counts must be read exactly. */
const INEXACT = Symbol('inexact');

function countsProblem(content: HistogramContent): string | undefined | typeof INEXACT {
  const { negative, positive, count, zeroCount, isSumNaN } = content;
  const negativeCount = observationsOf(negative.deltas);
  const positiveCount = observationsOf(positive.deltas);
  const observations = negativeCount + positiveCount + zeroCount;
  // A negative bucket is rare as well: the exact way names it.
  if (!(observations <= Number.MAX_SAFE_INTEGER && count <= Number.MAX_SAFE_INTEGER)) {
    return INEXACT;
  }
  return sumProblem(observations, count, isSumNaN);
}

/** NaN when a bucket is negative or beyond 2^53. */
function observationsOf(deltas: readonly number[]): number {
  let observations = 0;
  let bucket = 0;
  for (const delta of deltas) {
    bucket += delta;
    if (!(bucket >= 0 && bucket <= Number.MAX_SAFE_INTEGER)) return Number.NaN;
    observations += bucket;
  }
  return observations;
}

function exactCountsProblem(content: HistogramContent): string | undefined {
  const negative = absoluteCounts(content.negative);
  const positive = absoluteCounts(content.positive);
  const problem = sideProblem('negative', negative) ?? sideProblem('positive', positive);
  if (problem !== undefined) return problem;
  let observations = content.exactZeroCount;
  for (const count of [...negative, ...positive]) observations += count;
  return sumProblem(observations, content.exactCount, content.isSumNaN);
}

/** Observations by bucket of an integer histogram that was read exactly. */
export function absoluteCounts({ exactDeltas }: HistogramSide): bigint[] {
  let bucket = 0n;
  return exactDeltas.map((delta) => {
    bucket += delta;
    return bucket;
  });
}

/** Observations of NaN are in no bucket, and make the sum NaN. */
function sumProblem<N extends number | bigint>(
  observations: N,
  count: N,
  isSumNaN: boolean,
): string | undefined {
  if (isSumNaN ? observations <= count : observations === count) return undefined;
  const found = `${observations} observations found in buckets, but the Count field is ${count}`;
  const rule = isSumNaN
    ? 'should be at least the number of observations found in the buckets'
    : 'should equal the number of observations found in the buckets (in absence of NaN)';
  return `${found}: histogram's observation count ${rule}`;
}

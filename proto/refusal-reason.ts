import type { RefusalReason } from './settlement.ts';

/**
 * What the destinations write, by reason. The first match decides: "labels out of order" must be
 * looked at before "out of order", "out of order ... too old" before "too old".
 *
 * No pattern is anchored: Cortex sets the address of an ingester before its messages.
 */
const MESSAGES: readonly (readonly [RefusalReason, RegExp])[] = [
  ['exemplar', /exemplars? (missing|combined|labelset|not ingested)|(length for|parsing) exemplar/],
  ['exemplar', /err-mimir-exemplar|at least one sample or hist/],
  ['too_large', /native histogram (sample )?size/],
  ['series_limit', /series limit|labelset limit|err-mimir-max-series|exceeded.*active series/],
  ['invalid_histogram', /invalid native histogram|native histogram bucket count|invalid histogram/],
  ['invalid_histogram', /histogram('s| has| custom| spans| with) |custom buckets: must/],
  ['invalid_histogram', /err-mimir-(invalid-native|native|not-reducible-native)-histogram/],
  ['invalid_series', /labels? (is |are |set )?(out of order|not sorted|not in order)/],
  ['invalid_series', /duplicated? label|label name "" is not unique|too many labels/],
  ['invalid_series', /label (name|value) too long|labels size bytes|length of label/],
  [
    'invalid_series',
    /(missing|invalid|without) (a )?(metric name|label)|empty label|invalid sample/,
  ],
  ['invalid_series', /invalid metric name|label(s|set| set)? (is |are )?(empty|invalid)/],
  ['invalid_series', /err-mimir-(missing-metric-name|metric-name-invalid|label|max-label)/],
  ['invalid_series', /err-mimir-(duplicate-label|labels-not-sorted)/],
  ['invalid_series', /parsing (labels|metadata) for series|metadata( '\w+' value)? (too|missing)/],
  ['duplicate_timestamp', /duplicate sample|duplicate-timestamp/],
  ['out_of_order', /out[ -]of[ -]order/],
  ['out_of_bounds', /out of bounds/],
  ['too_new', /timestamp too new|too far in (the )?future/],
  ['too_old', /too old|too far in (the )?past/],
  ['too_large', /too (big|large)|larger than/],
];

/** Quoted texts are label names and values: the users' words, not the destination's. */
const QUOTED = /"(?:[^"\\]|\\.)*"/g;
/** So are label sets, and the series that Cortex sets in single quotes or behind a limit. */
const SERIES = /\{[^{}]*\}|(?<=series: )'[^']*'|(?<=for (metric|series) )[^\s,]+/g;

/** A message without what users wrote: a label value may look like the words of a destination. */
export function unquoted(message: string): string {
  return message.replace(QUOTED, '""');
}

/**
 * The reason that Cortex, Mimir, Prometheus, Thanos or VictoriaMetrics gives for a refusal in the
 * body of its answer; `other` when nobody here has met the message.
 */
export function refusalReason(message: string): RefusalReason {
  const words = unquoted(message).replace(SERIES, '');
  for (const [reason, pattern] of MESSAGES) if (pattern.test(words)) return reason;
  return 'other';
}

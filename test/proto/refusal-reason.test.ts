import { describe, expect, it } from 'vitest';
import { refusalReason } from '../../proto/refusal-reason.ts';
import type { RefusalReason } from '../../proto/settlement.ts';

/** Cortex sets it before what an ingester says; the address differs each time. */
const INGESTER =
  'maxFailure (quorum) on a given error family, addr=127.0.0.1:9095 state=ACTIVE zone=, ' +
  'rpc error: code = Code(400) desc = user=t: ';

const MESSAGES: [RefusalReason, string][] = [
  // Cortex
  ['out_of_order', `${INGESTER}err: out of order sample. timestamp=T, series={__name__="x"}`],
  ['duplicate_timestamp', 'user=t: err: duplicate sample for timestamp. timestamp=1, series={}'],
  ['duplicate_timestamp', 'duplicate sample for timestamp 1000; overrides not allowed: existing 1'],
  ['out_of_bounds', 'user=t: err: out of bounds. timestamp=1, series={__name__="too_old"}'],
  ['too_old', 'user=t: err: too old sample. timestamp=1, series={}'],
  ['too_new', 'timestamp too new: 1700000000000 metric: "x"'],
  ['too_old', 'timestamp too old: 1600000000000 metric: "x"'],
  ['series_limit', 'user=t: per-user series limit of 5000000 exceeded, please contact the admin'],
  ['series_limit', 'user=t: per-metric series limit of 50000 exceeded for metric x'],
  ['series_limit', 'per-labelset series limit of 3 exceeded (labelSet: {a="b"}, local limit: 3)'],
  [
    'invalid_series',
    'series has too many labels (actual: 31, limit: 30) series: \'x{a="out of"}\'',
  ],
  ['invalid_series', 'label name too long for metric (actual: 2000, limit: 1024) metric: "x"'],
  ['invalid_series', 'label value too long for metric (actual: 3000, limit: 2048) metric: "x"'],
  ['invalid_series', 'labels size bytes exceeded for metric (actual: 9, limit: 8) metric: "x"'],
  ['invalid_series', 'sample missing metric name'],
  ['invalid_series', 'sample invalid metric name: ""'],
  ['invalid_series', 'sample invalid label: "a-b" metric "x"'],
  ['invalid_series', 'duplicate label name: "a" metric "x"'],
  ['invalid_series', 'empty labels found'],
  // Cortex 1.21: pkg/util/validation/errors.go
  ['invalid_series', 'labels not sorted: "a" metric "x{b="1", a="2"}"'],
  [
    'invalid_series',
    'labels size bytes exceeded for metric (actual: 9, limit: 8) metric: "exemplar missing"',
  ],
  ['invalid_series', 'metadata missing metric name'],
  ['invalid_series', `metadata 'HELP' value too long: "out of order" metric "x"`],
  ['exemplar', 'exemplar missing labels, timestamp: 1 series: {__name__="x"} labels: {}'],
  ['exemplar', 'exemplar missing timestamp, timestamp: 0 series: {__name__="x"} labels: {a="b"}'],
  [
    'exemplar',
    'exemplar combined labelset exceeds 128 characters, timestamp: 1 series: {a="too old"} labels: {a="b"}',
  ],
  ['invalid_histogram', 'native histogram bucket count exceeded for metric (limit: 4) metric: "x"'],
  [
    'invalid_histogram',
    'invalid native histogram schema 9 for metric: "x". supported schema from -4 to 8',
  ],
  [
    'invalid_histogram',
    'invalid native histogram, validation err: spans need 1 buckets, have 2 buckets: histogram spans specify different number of buckets than provided, metric: "x"',
  ],
  [
    'too_large',
    'native histogram sample size bytes exceeded for metric (actual: 9, limit: 8) metric: "x"',
  ],
  // pkg/cortexpb/histograms.go
  ['too_large', 'native histogram size 20000 bytes exceeds limit 16384 bytes'],
  // pkg/ingester: ingester.go, limiter.go, errors.go
  [
    'exemplar',
    `${INGESTER}err: exemplars not ingested because series not already present. timestamp=T, series={__name__="x"}, exemplar={a="b"}`,
  ],
  [
    'exemplar',
    `${INGESTER}err: label length for exemplar exceeds maximum of 128 UTF-8 characters. timestamp=T, series={}, exemplar={}`,
  ],
  [
    'out_of_order',
    `${INGESTER}err: out of order exemplar. timestamp=T, series={__name__="too_old"}, exemplar={a="out of bounds"}`,
  ],
  [
    'out_of_bounds',
    `${INGESTER}err: out of bounds. timestamp=T, tsdbHeadMaxTimestamp=T, series={__name__="duplicate sample"}`,
  ],
  ['too_old', `${INGESTER}err: too old sample. timestamp=T, tsdbHeadMaxTimestamp=T, series={}`],
  [
    'series_limit',
    `${INGESTER}per-user native histogram series limit of 5 exceeded, please contact administrator to raise it (local limit: 0 global limit: 5 actual local limit: 5)`,
  ],
  [
    'series_limit',
    `${INGESTER}per-metric series limit of 5 exceeded for metric exemplar_labels, please contact administrator to raise it (local limit: 5) for series {__name__="exemplar_labels"}`,
  ],
  [
    'series_limit',
    `${INGESTER}per-labelset series limit of 5 exceeded (labelSet: {a="b"}, global limit: 5 actual local limit: 5) for series {a="b"}`,
  ],
  [
    'invalid_histogram',
    `${INGESTER}err: histogram's observation count is negative. timestamp=T, series={}`,
  ],
  [
    'invalid_histogram',
    `${INGESTER}err: bucket number 1 has observation count of -1: histogram has a bucket whose observation count is negative. timestamp=T, series={}`,
  ],
  [
    'invalid_histogram',
    `${INGESTER}err: custom buckets: must not have negative spans. timestamp=T, series={}`,
  ],
  [
    'invalid_histogram',
    `${INGESTER}err: previous bound is 2 and current is 1: histogram custom bounds must be in strictly increasing order. timestamp=T, series={}`,
  ],
  // pkg/util/push
  [
    'exemplar',
    'TimeSeries must contain at least one sample or histogram for series {__name__="x"}',
  ],
  // Mimir
  [
    'out_of_order',
    'the sample has been rejected because another sample with a more recent timestamp has ' +
      'already been ingested and out-of-order samples are not allowed ' +
      '(err-mimir-sample-out-of-order). The affected sample has timestamp 1970-01-01T00:00:00Z',
  ],
  [
    'duplicate_timestamp',
    'the sample has been rejected because another sample with the same timestamp, but a ' +
      'different value, has already been ingested (err-mimir-sample-duplicate-timestamp)',
  ],
  [
    'too_old',
    'the sample has been rejected because its timestamp is too old ' +
      '(err-mimir-sample-timestamp-too-old)',
  ],
  [
    'too_new',
    'received a sample whose timestamp is too far in the future (err-mimir-too-far-in-future)',
  ],
  ['too_old', 'received a sample whose timestamp is too far in the past'],
  ['series_limit', 'per-user series limit of 150000 exceeded (err-mimir-max-series-per-user)'],
  ['series_limit', 'per-metric series limit of 9 exceeded (err-mimir-max-series-per-metric)'],
  [
    'invalid_series',
    'received a series whose number of labels exceeds the limit (actual: 31, limit: 30) ' +
      "series: 'x' (err-mimir-max-label-names-per-series)",
  ],
  [
    'invalid_series',
    'received a series whose label value length of 3000 exceeds the limit of 2048 ' +
      '(err-mimir-label-value-too-long)',
  ],
  ['invalid_series', 'received series has no metric name (err-mimir-missing-metric-name)'],
  ['invalid_series', 'received a series with an invalid label (err-mimir-label-invalid)'],
  // Prometheus
  ['out_of_order', 'out of order sample\n'],
  ['duplicate_timestamp', 'duplicate sample for timestamp\n'],
  ['out_of_bounds', 'out of bounds\n'],
  ['too_old', 'too old sample\n'],
  ['invalid_series', 'label name "a" is not unique: invalid sample\n'],
  ['invalid_series', 'invalid metric name or label names\n'],
  // Thanos
  [
    'out_of_order',
    'store locally for endpoint 127.0.0.1:10901: add 3 samples: out of order sample',
  ],
  ['duplicate_timestamp', 'add 1 samples: duplicate sample for timestamp'],
  ['out_of_bounds', 'add 1 samples: out of bounds'],
  ['too_old', 'add 1 samples: too old sample'],
  ['invalid_series', 'add 1 series: labels out of order'],
  ['invalid_series', 'add 1 series: duplicate label'],
  // VictoriaMetrics and proxies
  ['too_large', 'too big data size exceeding the limit'],
  ['other', 'something that nobody here has met'],
  ['other', ''],
];

describe('the reason for a refusal', () => {
  for (const [reason, message] of MESSAGES) {
    it(`${reason}: ${message.slice(0, 70).trim()}`, () => {
      expect(refusalReason(message)).toBe(reason);
    });
  }

  it('does not take the words of a label for those of the destination', () => {
    const message = 'timestamp too new: 1 metric: "duplicate label \\" out of bounds"';
    expect(refusalReason(message)).toBe('too_new');
  });
});

import { describe, expect, it } from 'vitest';
import {
  type DestinationKind,
  judgeAnswer,
  type Outcome,
  type WriteAnswer,
} from '../../proto/outcome.ts';
import { refusalReason } from '../../proto/refusal-reason.ts';
import type { RefusalReason } from '../../proto/settlement.ts';

const ALL: DestinationKind[] = [
  'cortex',
  'mimir',
  'prometheus',
  'thanos',
  'victoriametrics',
  'generic',
];
const ELECTING: DestinationKind[] = ['cortex', 'mimir'];
const ROLLING: DestinationKind[] = ['prometheus', 'victoriametrics', 'generic'];
const OTHERS = ALL.filter((kind) => !ELECTING.includes(kind));

const accepted: Outcome = { kind: 'accepted' };
const deduplicated: Outcome = { kind: 'deduplicated' };
const halve: Outcome = { kind: 'halve' };
const retry: Outcome = { kind: 'retry', halve: false, mayBeStored: true, failed: false };
const retryFailed: Outcome = { ...retry, failed: true };
const retryHalved: Outcome = { ...retry, halve: true, mayBeStored: false };
const clustersLimit = (message: string): Outcome => ({
  kind: 'refused',
  reason: 'ha_clusters_limit',
  message,
});
const misconfigured = (message = ''): Outcome => ({ kind: 'misconfigured', message });
const partial = (reason: RefusalReason, message: string): Outcome => ({
  kind: 'partial',
  reason,
  message,
  written: undefined,
});
const atomic = (reason: RefusalReason, message: string): Outcome => ({
  kind: 'atomic',
  reason,
  message,
});

const OUT_OF_ORDER =
  'maxFailure (quorum) on a given error family, addr=10.2.3.4:9095 state=ACTIVE zone=, ' +
  'rpc error: code = Code(400) desc = user=t: err: out of order sample. timestamp=1, series={}';
const INFLIGHT = 'too many inflight push requests in distributor';
const HA_DEDUPE = 'replicas did not match, rejecting sample: replica=b, elected=a';
const BURST = 'ingestion rate limit (20) exceeded while adding 25 samples and 5 metadata';
const NO_V2 =
  'io.prometheus.write.v2.Request protobuf message is not accepted by this server; ' +
  'only accepts prometheus.WriteRequest';
const HA_CLUSTERS = 'too many HA replicaGroups (limit: 100)';
const MIMIR_SIZE =
  'the incoming push request has been rejected because its message size of 9 bytes is larger ' +
  'than the allowed limit of 8 bytes (err-mimir-distributor-max-write-message-size)';
const VM_SIZE = "too big unpacked request; mustn't exceed `-maxInsertRequestSize=1` bytes; got 2";

const DISABLED = 'native histograms are disabled';
const OOO_DISABLED = 'out-of-order native histogram ingestion is disabled';

const ROWS: [string, DestinationKind[], number, string, Outcome][] = [
  ['200 is stored', ALL, 200, '', accepted],
  ['204 is stored', ALL, 204, '', accepted],
  ['any other 2xx is stored', ALL, 299, 'whatever it says', accepted],
  ['202 of an HA tracker is deduplicated', ELECTING, 202, HA_DEDUPE, deduplicated],
  ['202 of anything else is stored', OTHERS, 202, '', accepted],
  ['300 is a wrong URL', ALL, 300, '', misconfigured()],
  ['a redirect is a wrong URL', ALL, 308, '', misconfigured()],
  ['401 needs an operator', ALL, 401, 'no org id\n', misconfigured('no org id')],
  ['403 needs an operator', ALL, 403, '', misconfigured()],
  ['404 needs an operator', ALL, 404, '404 page not found', misconfigured('404 page not found')],
  ['405 needs an operator', ALL, 405, '', misconfigured()],
  ['407 needs an operator', ALL, 407, '', misconfigured()],
  ['415 needs an operator', ALL, 415, NO_V2, misconfigured(NO_V2)],
  ['408 is retried', ALL, 408, '', retry],
  ['425 is retried', ALL, 425, '', retry],
  ['499 is retried', ALL, 499, '', retry],
  ['429 is retried with half as much', ALL, 429, BURST, retryHalved],
  ['500 is retried, and may be due to the request', ALL, 500, '', retryFailed],
  ['500 with the words of a refusal is retried', ALL, 500, OUT_OF_ORDER, retryFailed],
  ['500 without histograms is atomic', ROLLING, 500, DISABLED, atomic('set_aside', DISABLED)],
  ['likewise of late ones', ROLLING, 500, OOO_DISABLED, atomic('out_of_order', OOO_DISABLED)],
  ['500 of what may store parts is retried', [...ELECTING, 'thanos'], 500, DISABLED, retryFailed],
  ['501 and whatever else is retried like 500', ALL, 501, '', retryFailed],
  ['502 of a gateway is retried', ALL, 502, '', retry],
  ['503 is retried', ALL, 503, INFLIGHT, retry],
  ['504 of a gateway is retried', ALL, 504, '', retry],
  ['599 is retried like 500', ALL, 599, '', retryFailed],
  ['413 is halved', ALL, 413, '', halve],
  ['413 of Mimir is halved', ['mimir'], 413, MIMIR_SIZE, halve],
  ['size judged by 400 is halved', ALL, 400, 'received message larger than max (9 vs 8)', halve],
  ['size judged by 400 of old Mimir', ['mimir'], 400, MIMIR_SIZE, halve],
  ['size judged by 400 of VictoriaMetrics', ['victoriametrics'], 400, VM_SIZE, halve],
  ['too many HA clusters', ELECTING, 400, HA_CLUSTERS, clustersLimit(HA_CLUSTERS)],
  ['too many HA clusters', ELECTING, 429, HA_CLUSTERS, clustersLimit(HA_CLUSTERS)],
  [
    'words about HA clusters in a label value',
    ELECTING,
    400,
    `label value too long: "${HA_CLUSTERS}"`,
    partial('invalid_series', `label value too long: "${HA_CLUSTERS}"`),
  ],
  ['a 400 there is partial', ELECTING, 400, OUT_OF_ORDER, partial('out_of_order', OUT_OF_ORDER)],
  ['a 400 without a known word is partial there', ELECTING, 400, 'x', partial('unknown', 'x')],
  [
    'nothing is stored of a body with a series without labels',
    ELECTING,
    400,
    'empty labels found',
    atomic('invalid_series', 'empty labels found'),
  ],
  [
    'nothing is stored of a body that cannot be read',
    ELECTING,
    400,
    'snappy: corrupt input',
    atomic('unknown', 'snappy: corrupt input'),
  ],
  [
    'a 400 elsewhere is atomic',
    OTHERS,
    400,
    'out of order sample',
    atomic('out_of_order', 'out of order sample'),
  ],
  [
    'a 409 of Thanos is partial',
    ['thanos'],
    409,
    'add 3 samples: out of bounds',
    partial('out_of_bounds', 'add 3 samples: out of bounds'),
  ],
  ['a 409 elsewhere is atomic', ['cortex', 'generic'], 409, '', atomic('unknown', '')],
  ['a 4xx that nobody foresaw is atomic', ALL, 418, 'teapot', atomic('unknown', 'teapot')],
  ['a 422 is atomic', ALL, 422, 'too old sample', atomic('too_old', 'too old sample')],
];

/** Answers to requests of version 2.0, with the counts of what was written. */
const COUNTED: [string, DestinationKind[], WriteAnswer, Outcome][] = [
  ['a 2xx with counts is stored', ALL, { status: 204, body: '', written: 0 }, accepted],
  ['a 2xx without is from a receiver of 1.0', ALL, { status: 204, body: '' }, misconfigured()],
  ['202 of an HA tracker is deduplicated', ELECTING, { status: 202, body: '' }, deduplicated],
  ['415 needs an operator', ALL, { status: 415, body: NO_V2 }, misconfigured(NO_V2)],
  ['500 has rolled all back', ALL, { status: 500, body: '', written: 0 }, retryFailed],
  [
    'a 400 with counts is exact',
    OTHERS,
    { status: 400, body: 'out of bounds', written: 3 },
    { kind: 'partial', reason: 'out_of_bounds', message: 'out of bounds', written: 3 },
  ],
  [
    'a 400 whose lines differ is no echo',
    OTHERS,
    { status: 400, body: 'out of order sample\nduplicated label x', written: 3 },
    {
      kind: 'partial',
      reason: 'invalid_series',
      message: 'out of order sample\nduplicated label x',
      written: 3,
    },
  ],
  [
    'a 400 without counts is atomic',
    OTHERS,
    { status: 400, body: 'out of bounds' },
    atomic('out_of_bounds', 'out of bounds'),
  ],
  [
    'the counts of a Cortex are not believed',
    ELECTING,
    { status: 400, body: OUT_OF_ORDER, written: 3 },
    partial('out_of_order', OUT_OF_ORDER),
  ],
  [
    'a request that a Cortex cannot convert is atomic',
    ELECTING,
    { status: 400, body: 'invalid UnitRef 9: exceeds symbols length 5', written: 0 },
    atomic('unknown', 'invalid UnitRef 9: exceeds symbols length 5'),
  ],
];

describe('the judgement of an answer', () => {
  for (const [name, kinds, answer, outcome] of COUNTED) {
    it(`to a 2.0 request: ${name} (${kinds.join(', ')})`, () => {
      for (const kind of kinds) expect(judgeAnswer(kind, 'v2', answer)).toEqual(outcome);
    });
  }

  it('to a 1.0 request takes no notice of counts', () => {
    const answer = { status: 400, body: 'out of bounds', written: 3 };
    const outcome = atomic('out_of_bounds', 'out of bounds');
    expect(judgeAnswer('prometheus', 'v1', answer)).toEqual(outcome);
  });

  for (const [name, kinds, status, body, outcome] of ROWS) {
    it(`${name} (${kinds.join(', ')})`, () => {
      for (const kind of kinds) expect(judgeAnswer(kind, 'v1', { status, body })).toEqual(outcome);
    });
  }

  it('knows what to do with every status there can be', () => {
    for (const kind of ALL) {
      for (let status = 100; status < 1000; status++) {
        for (const protocol of ['v1', 'v2'] as const) {
          expect(judgeAnswer(kind, protocol, { status, body: '' }).kind).toMatch(/^[a-z]+$/);
        }
      }
    }
  });
});

const MESSAGES: [RefusalReason, string][] = [
  // Cortex
  ['out_of_order', OUT_OF_ORDER],
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
  ['unknown', 'something that nobody here has met'],
  ['unknown', ''],
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

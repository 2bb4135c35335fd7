import { describe, expect, it } from 'vitest';
import {
  type DestinationKind,
  judgeAnswer,
  type Outcome,
  type WriteAnswer,
} from '../../proto/outcome.ts';
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

const LARGE_HISTOGRAM = 'native histogram size 20000 bytes exceeds limit 16384 bytes';

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
  ['a 400 without a known word is partial there', ELECTING, 400, 'x', partial('other', 'x')],
  [
    'nothing is stored of a body with a series without labels',
    ELECTING,
    400,
    'empty labels found',
    atomic('invalid_series', 'empty labels found'),
  ],
  [
    'nothing is stored of a body with a histogram that is too large to be read',
    ELECTING,
    400,
    LARGE_HISTOGRAM,
    atomic('too_large', LARGE_HISTOGRAM),
  ],
  [
    'nothing is stored of a body that cannot be read',
    ELECTING,
    400,
    'snappy: corrupt input',
    atomic('other', 'snappy: corrupt input'),
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
  ['a 409 elsewhere is atomic', ['cortex', 'generic'], 409, '', atomic('other', '')],
  ['a 4xx that nobody foresaw is atomic', ALL, 418, 'teapot', atomic('other', 'teapot')],
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
    atomic('other', 'invalid UnitRef 9: exceeds symbols length 5'),
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

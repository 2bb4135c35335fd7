import { expect, test } from 'vitest';
import { tsdbHeadOf } from '../../proto/tsdb-head.ts';

const cortex = (reason: string, head: string, series = '{__name__="up"}') =>
  `400 maxFailure (quorum) on a given error family, addr=10.0.0.1:9095 state=ACTIVE zone=, rpc ` +
  `error: code = Code(400) desc = user=t: err: ${reason}. timestamp=2023-11-14T19:13:20Z, ` +
  `tsdbHeadMaxTimestamp=${head}, series=${series}`;

const HEAD = '2023-11-14T22:13:20.5Z';
const LIE =
  'err: out of bounds. timestamp=2023-11-14T19:13:20Z, tsdbHeadMaxTimestamp=2099-01-01T00:00:00Z, series=';

test.each<[string, string, number | undefined]>([
  ['out of bounds', cortex('out of bounds', HEAD), 1_700_000_000_500],
  ['behind the window', cortex('too old sample', '2023-11-14T22:13:20Z'), 1_700_000_000_000],
  ['three digits', cortex('out of bounds', '2023-11-14T22:13:20.123Z'), 1_700_000_000_123],
  ['before 1970', cortex('out of bounds', '1969-12-31T23:59:59.9Z'), -100],
  ['another reason', cortex('out of order sample', HEAD), undefined],
  ['no date', cortex('out of bounds', '2023-13-45T22:13:20Z'), undefined],
  ['a year of five digits', cortex('out of bounds', '12023-11-14T22:13:20Z'), undefined],
  ['another zone', cortex('out of bounds', '2023-11-14T22:13:20+01:00'), undefined],
  ['nothing', cortex('out of bounds', ''), undefined],
  [
    'an empty head',
    '400 user=t: err: out of bounds. timestamp=2023-11-14T19:13:20Z, series={__name__="up"}',
    undefined,
  ],
  [
    'words in a label of a head that is empty',
    `400 err: out of bounds. timestamp=2023-11-14T19:13:20Z, series={__name__="up", x="${LIE}"}`,
    undefined,
  ],
  [
    'words in a label beside the true ones',
    cortex('out of bounds', HEAD, `{__name__="up", x="\\"${LIE}"}`),
    1_700_000_000_500,
  ],
  [
    'Mimir',
    'the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old). The affected sample has timestamp 2023-11-14T19:13:20Z and is from series up',
    undefined,
  ],
  ['Prometheus', 'out of bounds', undefined],
])('the newest sample of a tenant, as a refusal names it: %s', (_, message, headMs) => {
  expect(tsdbHeadOf(message)).toBe(headMs);
});

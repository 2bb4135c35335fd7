import { describe, expect, it } from 'vitest';
import { messageGroup } from '../../proto/message-group.ts';

/** As Cortex 1.21 writes it. */
function cortex(address: string, timestamp: string, series: string): string {
  return (
    `400 maxFailure (quorum) on a given error family, addr=${address} state=ACTIVE zone=, ` +
    `rpc error: code = Code(400) desc = user=t: err: out of order sample. ` +
    `timestamp=${timestamp}, series=${series}\n`
  );
}

/** Pairs of refusals that differ only in who, when and what. */
const ALIKE: readonly (readonly [string, string, string])[] = [
  [
    'Cortex’ out of order',
    cortex('10.2.3.4:9095', '2026-11-05T10:00:00.5Z', '{__name__="up", job="a{b}"}'),
    cortex('[fd00::7]:9095', '2026-11-05T11:22:33Z', '{__name__="node_load1"}'),
  ],
  [
    'Cortex’ series limit',
    '400 user=a: per-metric series limit of 50000 exceeded, metric: up{job="x"}',
    '400 user=b: per-metric series limit of 60000 exceeded, metric: http_requests{}',
  ],
  [
    'Cortex’ label limits',
    '400 series has too many labels (actual: 31, limit: 30) series: \'up{a="1"}\'',
    "400 series has too many labels (actual: 44, limit: 30) series: 'it is down'",
  ],
  [
    'Cortex’ future',
    '400 timestamp too new: 1700000000000 metric: "up"',
    '400 timestamp too new: 1800000000000 metric: "a \\" quote"',
  ],
  ['Prometheus', '400 out of bounds', '400 out of  bounds\n'],
];

describe('the group of a message', () => {
  it.each(ALIKE)('is the same for two refusals of one kind: %s', (_name, one, other) => {
    expect(messageGroup(one)).toBe(messageGroup(other));
    expect(messageGroup(one)).toMatch(/^400 /);
  });

  it('differs where the words differ, and where the status does', () => {
    const groups = new Set(ALIKE.map(([, one]) => messageGroup(one)));
    expect(groups.size).toBe(ALIKE.length);
    expect(messageGroup('400 out of bounds')).not.toBe(messageGroup('409 out of bounds'));
  });

  it('can still be read', () => {
    expect(messageGroup(cortex('10.2.3.4:9095', '2026-11-05T10:00:00Z', '{a="b"}'))).toBe(
      '400 maxFailure (quorum) on a given error family, addr=… state=ACTIVE zone=, rpc error: ' +
        'code = Code(N) desc = user=…: err: out of order sample. timestamp=T, series={…}',
    );
    expect(messageGroup(`400 ${'long '.repeat(1000)}`)).toHaveLength(200);
  });
});

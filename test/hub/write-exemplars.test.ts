import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exemplarBytes } from '../proto/objects/columns-fixture.ts';
import { Workspace } from '../tools/workspace.ts';
import { type BatchRow, cortexChain, settled } from './cortex-fixture.ts';
import { labelBytes } from './series-fixture.ts';

const NOW = 1_700_000_000_000;
const now = () => NOW;
const LONG = labelBytes({ span_id: 'x'.repeat(60), trace_id: 'ü'.repeat(54) });
const BARE = new Uint8Array(0);
const GOOD = exemplarBytes('trace');

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('write-exemplars');
});
afterEach(() => workspace.close());

const limits = { maxExemplars: 100 };

describe.each(['v1', 'v2'] as const)('an exemplar that a Cortex refuses in %s', (protocol) => {
  it.each<[string, Uint8Array, number]>([
    ['bare', BARE, NOW],
    ['too long', LONG, NOW],
    ['without a timestamp', GOOD, 0],
  ])('costs no sample and no other exemplar: %s', async (_, exemplar, at) => {
    const { settle, cortex, refused } = await cortexChain(workspace, { protocol, limits, now });
    const rows: BatchRow[] = [
      ['foo_total', NOW - 20],
      ['foo_total', { exemplar, at }],
      ['foo_total', NOW - 10],
      ['bar_total', NOW],
      ['bar_total', { exemplar: GOOD, at: NOW }],
      ['up', NOW],
    ];
    expect(await settle(rows)).toEqual(settled({ accepted: 5, refused: { exemplar: 1 } }));
    expect(cortex.rules.storedCount('a')).toBe(4);
    expect([...cortex.rules.exemplars('a').keys()]).toEqual(['{__name__="bar_total"}']);
    expect(refused).toMatchObject([{ reason: 'exemplar', refused: 1, unknown: 0 }]);
  });

  it('is one of every sample: a few requests for each batch', async () => {
    const { settle, cortex } = await cortexChain(workspace, { protocol, limits, now });
    const batch = (at: number): BatchRow[] =>
      Array.from({ length: 40 }, (_, of) => of).flatMap((of): BatchRow[] => [
        [`s${of}`, at],
        ...(of < 4 ? [[`s${of}`, { exemplar: BARE, at }] as BatchRow] : []),
      ]);
    const expected = settled({ accepted: 40, refused: { exemplar: 4 } });
    expect(await settle(batch(NOW - 10))).toEqual(expected);
    const before = cortex.requests.length;
    expect(await settle(batch(NOW))).toEqual(expected);
    expect(cortex.requests.length - before).toBeLessThan(20);
    expect(cortex.rules.storedCount('a')).toBe(80);
  });
});

describe('exemplars of a sample that is refused in version 2.0', () => {
  it('are not said to be refused: nobody knows', async () => {
    const { settle } = await cortexChain(workspace, { protocol: 'v2', limits, now });
    await settle([['foo_total', NOW]]);
    const answer = await settle([
      ['foo_total', NOW - 10],
      ['foo_total', { exemplar: exemplarBytes('a'), at: NOW + 1 }],
      ['foo_total', { exemplar: exemplarBytes('b'), at: NOW + 2 }],
      ['up', NOW],
    ]);
    expect(answer).toEqual(settled({ accepted: 1, unknown: 2, refused: { out_of_order: 1 } }));
  });
});

describe('exemplars in bodies of version 1.0', () => {
  it('never stand in a TimeSeries with samples, nor two of a series in a body', async () => {
    const { settle, cortex } = await cortexChain(workspace, { limits, now });
    const rows: BatchRow[] = [
      ['foo_total', NOW],
      ['foo_total', { exemplar: exemplarBytes('a'), at: NOW - 2 }],
      ['foo_total', { exemplar: exemplarBytes('b'), at: NOW - 1 }],
    ];
    expect(await settle(rows)).toEqual(settled({ accepted: 3 }));
    expect(cortex.requests.map(({ body }) => body.series)).toMatchObject([
      [
        { samples: [{}], exemplars: [] },
        { samples: [], exemplars: [{}] },
      ],
      [{ samples: [], exemplars: [{}] }],
    ]);
    expect(cortex.rules.exemplars('a').get('{__name__="foo_total"}')).toHaveLength(2);
  });

  it('are taken or refused alone where their series has no sample', async () => {
    const { settle } = await cortexChain(workspace, { limits, now });
    const row: BatchRow = ['foo_total', { exemplar: GOOD, at: NOW }];
    expect(await settle([row, ['up', NOW]])).toEqual(
      settled({ accepted: 1, refused: { exemplar: 1 } }),
    );
    await settle([['foo_total', NOW]]);
    expect(await settle([row])).toEqual(settled({ accepted: 1 }));
  });
});

describe('what else a Cortex refuses whole', () => {
  it('is a body with a native histogram that is too large: the others are stored', async () => {
    // What is not stored yet is sent again whatever the budget.
    const { settle, cortex } = await cortexChain(workspace, {
      searchesPerMinute: 0,
      limits: { enableNativeHistograms: true, maxNativeHistogramSizeBytes: 10 },
      now,
    });
    const answer = await settle([
      ['up', NOW],
      ['latency', { histogram: 3, at: NOW }],
      ['down', NOW],
    ]);
    expect(answer).toEqual(settled({ accepted: 2, refused: { too_large: 1 } }));
    expect(cortex.rules.storedCount('a')).toBe(2);
  });

  it('is a TimeSeries with an invalid histogram: floats and other histograms are stored', async () => {
    const { settle, cortex } = await cortexChain(workspace, {
      limits: { enableNativeHistograms: true },
      now,
    });
    const answer = await settle([
      ['up', NOW],
      ['latency', { histogram: 3, at: NOW - 1 }],
      ['latency', { histogram: 3, schema: 9, at: NOW }],
    ]);
    expect(answer).toEqual(settled({ accepted: 2, refused: { invalid_histogram: 1 } }));
    expect(cortex.rules.storedCount('a')).toBe(2);
  });
});

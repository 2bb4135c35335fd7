import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import { Workspace } from '../tools/workspace.ts';
import { type BatchRow, cortexChain, settled } from './cortex-fixture.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const now = () => NOW;

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('write-cortex');
});
afterEach(() => workspace.close());

/** Samples of `series` series, a minute apart, the last of them at `until`. */
function backlog(series: number, samples: number, until: number): BatchRow[] {
  return Array.from({ length: samples }, (_, at) => until - (samples - 1 - at) * MINUTE).flatMap(
    (time) => Array.from({ length: series }, (_, of): BatchRow => [`s${of}`, time]),
  );
}

describe('what a Cortex refuses of a backlog', () => {
  it.each<[string, number, number, string]>([
    ['window 0, behind the head of the tenant', 0, 12, 'out_of_bounds'],
    ['window 2h, behind it', 2 * HOUR, 60, 'too_old'],
  ])('is counted exactly: %s', async (_, outOfOrderWindowMs, times, reason) => {
    const { settle, cortex, refused } = await cortexChain(workspace, {
      limits: { outOfOrderWindowMs },
      now,
    });
    cortex.rules.moveHead('a', NOW);
    const lost = backlog(20, times, NOW - 3 * HOUR);
    const good = backlog(20, 5, NOW);
    expect(await settle([...lost, ...good])).toEqual(
      settled({ accepted: 100, refused: { [reason]: 20 * times } }),
    );
    expect(cortex.rules.storedCount('a')).toBe(101);
    expect(refused.map((one) => [one.refused, one.unknown])).toEqual([[20 * times, 0]]);
  });

  it('is counted exactly where other writers are ahead in some of its series', async () => {
    const { settle, cortex } = await cortexChain(workspace, { now });
    await settle(backlog(3, 1, NOW));
    const answer = await settle(backlog(10, 30, NOW - MINUTE));
    expect(answer).toEqual(settled({ accepted: 210, refused: { out_of_order: 90 } }));
    expect(cortex.rules.storedCount('a')).toBe(213);
  });

  it.each<[string, BatchRow[], object, string]>([
    [
      'too many labels',
      [['bad', NOW, { a: '1', b: '2' }]],
      { maxLabelNamesPerSeries: 2 },
      'invalid_series',
    ],
    [
      'a value that is too long',
      [['bad', NOW, { a: 'long' }]],
      { maxLabelValueLength: 3 },
      'invalid_series',
    ],
    ['a series beyond the limit', [['bad', NOW]], { maxSeriesPerUser: 12 }, 'series_limit'],
    [
      'a series beyond the limit of its metric',
      [
        ['s3', NOW, { a: '1' }],
        ['s3', NOW, { a: '2' }],
      ],
      { maxSeriesPerMetric: 2 },
      'series_limit',
    ],
  ])(
    'is named by its reason and its series, and costs no other: %s',
    async (_, bad, limits, reason) => {
      const { settle, cortex, refused } = await cortexChain(workspace, { limits, now });
      const good = backlog(12, 1, NOW);
      expect(await settle([...good, ...bad])).toEqual(
        settled({ accepted: 12 + bad.length - 1, refused: { [reason]: 1 } }),
      );
      expect(cortex.rules.storedCount('a')).toBe(12 + bad.length - 1);
      const guilty = refused.flatMap(({ body }) => new WrittenSamples(body).examples());
      const [name, , labels] = bad.at(-1)!;
      expect(guilty).toHaveLength(1);
      expect(guilty[0]).toContain(name);
      for (const value of Object.values(labels ?? {})) expect(guilty[0]).toContain(value);
    },
  );

  it('is one sample of ten of a series, not all of them', async () => {
    const { settle, cortex } = await cortexChain(workspace, {
      limits: {
        rejectOldSamples: true,
        rejectOldSamplesMaxAgeMs: 2 * HOUR,
        outOfOrderWindowMs: HOUR,
      },
      now,
    });
    const times = [NOW - 9 * MINUTE, NOW - 3 * HOUR, ...backlog(1, 8, NOW).map(([, time]) => time)];
    const rows = times.map((time): BatchRow => ['up', time]);
    expect(await settle(rows)).toEqual(settled({ accepted: 9, refused: { too_old: 1 } }));
    expect(cortex.rules.storedCount('a')).toBe(9);
  });

  it('stays unknown beyond the budget, and is then neither called stored nor refused', async () => {
    const { settle, refused } = await cortexChain(workspace, { searchesPerMinute: 6, now });
    await settle(backlog(100, 1, NOW));
    const answer = await settle(backlog(100, 1, NOW - MINUTE));
    const { unknown } = answer;
    expect(unknown).toBeGreaterThan(90);
    expect(answer).toEqual(settled({ unknown, refused: { out_of_order: 100 - unknown } }));
    expect(refused.reduce((sum, one) => sum + one.refused + one.unknown, 0)).toBe(100);
  });

  it('leaves half of the budget where all may be the echo of an earlier attempt', async () => {
    const { settle } = await cortexChain(workspace, { searchesPerMinute: 12, now });
    await settle(backlog(100, 1, NOW));
    // As after a restart: all of it is there already, but for the age of one attempt.
    const again = backlog(100, 1, NOW - MINUTE);
    const echoes = await settle(again, { mayBeRedelivered: true });
    expect(echoes.redelivered).toBeGreaterThan(0);
    const bad: BatchRow = ['s3', NOW - MINUTE];
    const good = ['a', 'b', 'c'].map((name): BatchRow => [name, NOW]);
    expect(await settle([...good, bad])).toEqual(
      settled({ accepted: 3, refused: { out_of_order: 1 } }),
    );
  });

  it('is never searched where the budget is 0', async () => {
    const { settle, cortex } = await cortexChain(workspace, { searchesPerMinute: 0, now });
    await settle(backlog(50, 1, NOW));
    const answer = await settle(backlog(50, 1, NOW - MINUTE));
    expect(answer).toEqual(settled({ unknown: 49, refused: { out_of_order: 1 } }));
    expect(cortex.requests).toHaveLength(2);
  });
});

describe('series that are refused again and again', () => {
  const limits = { maxLabelNamesPerSeries: 2 };
  const bad = (at: number, count = 4): BatchRow[] =>
    Array.from({ length: count }, (_, of) => [`s${of}`, at, { a: '1', b: '2' }]);

  it('go in a body of their own: a few requests for each batch, and no innocent in them', async () => {
    const { settle, cortex } = await cortexChain(workspace, { limits, now });
    await settle([...backlog(500, 1, NOW - MINUTE), ...bad(NOW - MINUTE)]);
    const before = cortex.requests.length;
    const answer = await settle([...backlog(500, 1, NOW), ...bad(NOW)]);
    expect(answer).toEqual(settled({ accepted: 500, refused: { invalid_series: 4 } }));
    const later = cortex.requests.slice(before);
    expect(later.map(({ body, status }) => [body.series.length, status])).toEqual([
      [500, 200],
      [4, 400],
      ...Array.from({ length: 4 }, () => [1, 400]),
    ]);
  });

  it('are innocent as soon as they are taken', async () => {
    const { settle, cortex } = await cortexChain(workspace, { limits, now });
    await settle([...backlog(20, 1, NOW - 2 * MINUTE), ...bad(NOW - 2 * MINUTE)]);
    cortex.rules.setLimits('a', { maxLabelNamesPerSeries: 30 });
    expect(await settle(bad(NOW - MINUTE))).toEqual(settled({ accepted: 4 }));
    const before = cortex.requests.length;
    await settle([...backlog(20, 1, NOW), ...bad(NOW)]);
    expect(cortex.requests).toHaveLength(before + 1);
  });

  it('are no more than old samples of others: those of an age go together', async () => {
    const { settle, cortex } = await cortexChain(workspace, { now });
    cortex.rules.moveHead('a', NOW);
    await settle(backlog(8, 1, NOW - 2 * HOUR));
    const before = cortex.requests.length;
    const old = backlog(8, 1, NOW - 3 * HOUR).map(([name, at]): BatchRow => [`other_${name}`, at]);
    const answer = await settle([...backlog(300, 1, NOW), ...old]);
    expect(answer).toEqual(settled({ accepted: 300, refused: { out_of_bounds: 8 } }));
    expect(cortex.requests.slice(before).map(({ body }) => body.series.length)).toEqual([
      300,
      8,
      ...Array.from({ length: 8 }, () => 1),
    ]);
  });
});

describe('a refusal after an attempt whose fate is unknown', () => {
  it('proves nothing where it says that the series has moved on', async () => {
    const { settle, cortex } = await cortexChain(workspace, { now });
    const rows = backlog(20, 3, NOW);
    await settle(rows);
    const answer = await settle(rows, { mayBeRedelivered: true });
    expect(answer).toEqual(settled({ redelivered: 40, accepted: 20 }));
    expect(cortex.rules.storedCount('a')).toBe(60);
  });

  it('counts all the same what it names for another reason', async () => {
    const limits = { maxLabelValueLength: 20 };
    const { settle } = await cortexChain(workspace, { limits, now });
    const rows: BatchRow[] = [...backlog(20, 2, NOW), ['bad', NOW, { a: 'x'.repeat(30) }]];
    await settle(rows);
    const answer = await settle(rows, { mayBeRedelivered: true });
    expect(answer).toEqual(
      settled({ redelivered: 20, accepted: 20, refused: { invalid_series: 1 } }),
    );
  });

  it('is none where the attempt was lost and the samples are still the newest', async () => {
    const { settle, cortex } = await cortexChain(workspace, { now });
    cortex.failNext({ isTaken: true });
    expect(await settle(backlog(20, 1, NOW))).toEqual(settled({ accepted: 20 }));
  });
});

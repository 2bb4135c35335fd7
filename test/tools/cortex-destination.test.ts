import { describe, expect, it } from 'vitest';
import type { CortexBody, CortexExemplar, CortexSeries } from './cortex/body.ts';
import type { CortexLimits } from './cortex/limits.ts';
import { CortexRules } from './cortex/rules.ts';

const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;

function series(name: string, ...timestamps: number[]): CortexSeries {
  const samples = timestamps.map((timestamp) => ({ timestamp, bits: 0n }));
  return { labels: labels({ __name__: name }), samples, exemplars: [], histograms: [] };
}

function labels(pairs: Record<string, string>) {
  return Object.entries(pairs).map(([name, value]) => ({ name, value }));
}

function exemplar(timestamp: number, pairs: Record<string, string>): CortexExemplar {
  return { timestamp, bits: 0n, labels: labels(pairs) };
}

function body(...entries: CortexSeries[]): CortexBody {
  return { version: 1, series: entries, metadata: [] };
}

/** Pushes a body to a fresh Cortex in which `up` has a sample of now. */
function pushed(entries: CortexSeries[], limits: Partial<CortexLimits> = {}) {
  const rules = new CortexRules({ maxExemplars: 10, ...limits }, () => NOW);
  rules.push('t', body(series('up', NOW)));
  const { status, message } = rules.push('t', body(...entries));
  return { answer: `${status} ${message}`, stored: rules.storedCount('t') - 1, rules };
}

describe('the rules of Cortex', () => {
  it.each<[string, CortexSeries[], Partial<CortexLimits>, RegExp, number]>([
    ['takes what is new', [series('a', NOW), series('b', NOW)], {}, /^200 $/, 2],
    [
      'drops a TimeSeries whole for one old sample, and keeps the others',
      [series('a', NOW - 3 * HOUR, NOW), series('b', NOW)],
      { rejectOldSamples: true, rejectOldSamplesMaxAgeMs: 2 * HOUR },
      /^400 timestamp too old: \d+ metric: "a"$/,
      1,
    ],
    [
      'drops a TimeSeries whole for its exemplar',
      [{ ...series('a', NOW), exemplars: [exemplar(NOW, {})] }],
      {},
      /^400 exemplar missing labels, timestamp: /,
      0,
    ],
    [
      'names the first soft error only, with the head of the tenant',
      [series('a', NOW - 3 * HOUR), series('up', NOW - 1), series('b', NOW)],
      {},
      /desc = user=t: err: out of bounds\. timestamp=.*, tsdbHeadMaxTimestamp=2023-11-14T22:13:20Z, /,
      1,
    ],
    [
      'takes what is within the window',
      [series('a', NOW - 3 * HOUR), series('up', NOW - HOUR)],
      { outOfOrderWindowMs: 2 * HOUR },
      /^400 .*err: too old sample\./,
      1,
    ],
    [
      'refuses a body without labels',
      [series('a', NOW), { ...series('b', NOW), labels: [] }],
      {},
      /^400 empty labels/,
      0,
    ],
    [
      'takes no more series than allowed',
      [series('a', NOW), series('b', NOW)],
      { maxSeriesPerUser: 2 },
      /per-user series limit of 2/,
      1,
    ],
    [
      'takes no more than its burst',
      [series('a', NOW, NOW + 1)],
      { ingestionBurstSize: 1 },
      /^429 /,
      0,
    ],
  ])('%s', (_, entries, limits, answer, stored) => {
    const result = pushed(entries, limits);
    expect(result.answer).toMatch(answer);
    expect(result.stored).toBe(stored);
  });

  it('moves the head for other writers, and keeps the newest value of a series', () => {
    const { rules } = pushed([], { creationGracePeriodMs: 3 * HOUR });
    rules.moveHead('t', NOW + 2 * HOUR);
    expect(rules.push('t', body(series('up', NOW + 1))).message).toContain('out of bounds');
    expect(rules.push('t', body(series('a', NOW + 2 * HOUR))).status).toBe(200);
    expect(rules.push('t', body(series('a', NOW + 2 * HOUR))).status).toBe(200);
    expect(rules.stored('t').get('{__name__="a"}')).toHaveLength(1);
  });

  it('elects a replica by the first series of a body, until it is silent for long', () => {
    let now = NOW;
    const rules = new CortexRules({ acceptHaSamples: true, haMaxClusters: 1 }, () => now);
    const push = (cluster: string, replica: string) => {
      const entry = {
        ...series('a', now),
        labels: labels({ __name__: 'a', __replica__: replica, cluster }),
      };
      return rules.push('t', body(entry)).status;
    };
    expect([push('k1', 'a'), push('k1', 'b'), push('k2', 'a')]).toEqual([200, 202, 400]);
    now += 30_000;
    expect([push('k1', 'b'), push('k1', 'a')]).toEqual([200, 202]);
    expect([...rules.stored('t').keys()]).toEqual(['{__name__="a", cluster="k1"}']);
  });
});

import { describe, expect, test } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { Exposition } from './metrics-source.ts';
import { seededRandom } from './seeded-random.ts';

const stoppedClock: Clock = {
  now: () => 1_700_000_000_000,
  elapsedMs: () => 0,
  sleep: async () => {},
};

function expositions(seed: string, count: number): string[] {
  const source = new Exposition(seededRandom(seed), stoppedClock);
  return Array.from({ length: count }, () => source.next());
}

describe('the exporter of odd values', () => {
  test('says the same for the same seed, and something else for another', () => {
    expect(expositions('a', 3)).toEqual(expositions('a', 3));
    expect(expositions('a', 1)).not.toEqual(expositions('b', 1));
  });

  test('has more than 500 series, and histograms whose buckets add up', () => {
    const text = expositions('a', 5).at(-1)!;
    expect(text.split('\n').filter((line) => /^\w/.test(line)).length).toBeGreaterThan(500);
    expect(text).toContain('source_duration_seconds_bucket{handler="/api/v1/7",le="+Inf"} 5\n');
    expect(text).toContain('source_duration_seconds_count{handler="/api/v1/7"} 5\n');
  });

  test('ends short-lived series and begins others', () => {
    const scrapes = expositions('a', 5);
    const generations = scrapes.map(
      (text) => /source_short_lived\{generation="(\d+)"/.exec(text)![1],
    );
    expect(generations).toEqual(['0', '0', '0', '0', '1']);
  });

  test('writes every odd value so that it reads back', () => {
    const [text] = expositions('a', 1);
    for (const value of ['NaN', '+Inf', '-Inf', '-0', '5e-324', '0.30000000000000004']) {
      expect(text).toMatch(
        new RegExp(`source_odd_value\\{name="\\w+"\\} ${value.replace('+', '\\+')}\n`),
      );
    }
  });
});

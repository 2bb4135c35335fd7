import { describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { bucketIndex, bucketsOf, deltasOf } from './native-buckets.ts';
import { NativeExposition } from './native-source.ts';
import { seededRandom } from './seeded-random.ts';

function exposition(seed: string): NativeExposition {
  return new NativeExposition(seededRandom(seed), { ...systemClock, now: () => 1_700_000_000_123 });
}

describe('NativeExposition', () => {
  test('says the same again for the same seed, and something else for another', () => {
    const [one, again, other] = [exposition('a'), exposition('a'), exposition('b')];
    for (let scrape = 0; scrape < 10; scrape++) {
      const said = one.next();
      expect(again.next()).toEqual(said);
      expect(other.next()).not.toEqual(said);
    }
    expect(one.scrapes).toBe(10);
  });
});

describe('buckets', () => {
  test.each([
    [1, 0, 0],
    [1.1, 0, 1],
    [2, 0, 1],
    [0.5, 0, -1],
    [16, -2, 1],
    [2, 3, 8],
  ])('%f falls, of schema %d, into bucket %d', (value, schema, index) => {
    expect(bucketIndex(value, schema)).toBe(index);
  });

  test('are spans with the counts of all their buckets, small gaps filled', () => {
    expect(bucketsOf([1, 1, 8, 256, 0.5], 0)).toEqual({
      spans: [
        { offset: -1, length: 5 },
        { offset: 4, length: 1 },
      ],
      counts: [1, 2, 0, 0, 1, 1],
    });
    expect(bucketsOf([], 0)).toEqual({ spans: [], counts: [] });
  });

  test('become the first count and what each adds to the one before', () => {
    expect(deltasOf([1, 2, 0, 0, 1])).toEqual([1, 1, -2, 0, 1]);
  });
});

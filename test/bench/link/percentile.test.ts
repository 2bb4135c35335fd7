import { expect, test } from 'vitest';
import { median, percentile } from '../../../bench/link/percentile.ts';

test.each([
  [[1, 2, 3, 4], 0.5, 2],
  [[1, 2, 3, 4], 0.51, 3],
  [[1, 2, 3, 4], 0.75, 3],
  [[1, 2, 3, 4], 1, 4],
  [[7], 0.01, 7],
  // One of a hundred has not arrived: p99 has, the worst has not.
  [[...new Array(99).fill(1), Number.POSITIVE_INFINITY], 0.99, 1],
  [[...new Array(98).fill(1), 5, Number.POSITIVE_INFINITY], 0.99, 5],
  [[...new Array(98).fill(1), Infinity, Number.POSITIVE_INFINITY], 0.99, Infinity],
  [[], 0.5, Number.NaN],
])('of %j the share %d does not exceed %d', (sorted, share, expected) => {
  expect(percentile(sorted, share)).toBe(expected);
});

test('the median is the middle one of numbers in any order', () => {
  expect(median([30, 4, 100])).toBe(30);
  expect(median([30, 4])).toBe(4);
  expect(median([])).toBeNaN();
});

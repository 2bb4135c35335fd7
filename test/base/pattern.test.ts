import { describe, expect, test } from 'vitest';
import { Pattern } from '../../base/pattern.ts';
import { patternCost } from '../../base/pattern-cost.ts';

// What patterns mean is in test/cli/relabel-patterns.ts.

describe('the cost of a pattern', () => {
  test.each([
    ['abc', 3],
    ['a{10}', 10],
    ['a{2,5}', 5],
    ['a{2,}', 3],
    ['a{,5}', 5],
    ['(?:ab){3}', 15],
    ['((a){10}){10}', 210],
    ['[abc]{10}', 30],
    ['\\pL{10}', 30],
    ['\\p{Greek}', 3],
    ['\\Qa{9}\\E', 4],
    ['[(]{2}[]{9}]', 9],
    ['\\{9}', 5],
    ['(((', 3],
  ])('of %s is about %d', (source, instructions) => {
    expect(patternCost(source).instructions).toBe(instructions);
  });

  test.each(['[', '\\p{', '\\Q', '{', '(', '[[:', '\\x{', '[]'])(
    'is soon told for many %s',
    (piece) => {
      const startMs = performance.now();
      patternCost(piece.repeat(100_000));
      expect(performance.now() - startMs).toBeLessThan(5000);
    },
  );
});

test('a list of thousands of names is a pattern', () => {
  const names = Array.from({ length: 5000 }, (_, index) => `some_metric_of_mine_${index}_total`);
  const pattern = Pattern.of(names.join('|'));
  expect(names.filter((name) => !pattern.test(name))).toEqual([]);
  expect(pattern.test('some_metric_of_mine_5000_total')).toBe(false);
});

test.each([
  ['a'.repeat(300_000), 'longer than 262144 characters'],
  ['(?:a{1000}){500}', 'too large'],
  ['\\pL{1000}'.repeat(101), 'too large'],
  ['('.repeat(1001), 'too large'],
])('a pattern that would take too much is refused before it does', (source, reason) => {
  const startMs = performance.now();
  expect(Pattern.parse(source)).toMatchObject({ message: expect.stringContaining(reason) });
  expect(performance.now() - startMs).toBeLessThan(5000);
});

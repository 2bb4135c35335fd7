import { describe, expect, test } from 'vitest';
import { simulate } from './simulation.ts';

/**
 * Fixed, so that a change is judged by itself; `npm run sim` draws others. So many take some forty
 * seconds of one processor; a longer run belongs there. Each has a time limit of its own, for a
 * machine that is busy with something else.
 */
const SEEDS = Array.from({ length: 40 }, (_, index) => `gate-${index}`);
const TEST_MS_MAX = 120_000;

describe('agent, link, hub and destination, with faults of all kinds', () => {
  test.each(SEEDS)(
    'lose no acknowledged sample, keep each series in order, and account for everything: %s',
    { timeout: TEST_MS_MAX },
    async (seed) => {
      const { violations } = await simulate(seed);
      expect(violations, `npm run sim -- --seed=${seed}`).toEqual([]);
    },
  );

  test('do the same again for the same seed', { timeout: TEST_MS_MAX }, async () => {
    const seed = 'gate-again';
    const [first, second] = [await simulate(seed), await simulate(seed)];
    expect(second.trace).toEqual(first.trace);
    expect(second.traceHash).toBe(first.traceHash);
    expect(first.acknowledged).toBeGreaterThan(0);
  });
});

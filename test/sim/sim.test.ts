import { describe, expect, test } from 'vitest';
import { simulate } from './simulation.ts';

/**
 * Fixed, so that a change is judged by itself; `npm run sim` draws others. So many take about half a
 * minute on two processors; a longer run belongs there.
 */
const SEEDS = 40;
const TEST_MS_MAX = 180_000;

describe('agent, link, hub and destination, with faults of all kinds', () => {
  test(
    'lose no acknowledged sample, keep each series in order, and account for everything',
    async () => {
      for (let index = 0; index < SEEDS; index++) {
        const { seed, violations } = await simulate(`gate-${index}`);
        expect(violations, `npm run sim -- --seed=${seed}`).toEqual([]);
      }
    },
    TEST_MS_MAX,
  );

  test('do the same again for the same seed', async () => {
    const seed = 'gate-again';
    const [first, second] = [await simulate(seed), await simulate(seed)];
    expect(second.trace).toEqual(first.trace);
    expect(second.traceHash).toBe(first.traceHash);
    expect(first.acknowledged).toBeGreaterThan(0);
  });
});

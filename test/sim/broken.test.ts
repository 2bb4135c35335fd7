import { describe, expect, test } from 'vitest';
import { MISTAKES } from './broken.ts';
import { carefulFormat } from './broken-format.ts';
import type { Mistake } from './mistake.ts';
import { simulate } from './simulation.ts';

const SEEDS_MAX = 60;
/** Without a mistake; test/sim/sim.test.ts has more. */
const SOUND_SEEDS = 1;
const TEST_MS_MAX = 240_000;

/** The violations of the first seed that has any. */
async function violationsOf({ parts, install, plan }: Mistake, seeds: number): Promise<string[]> {
  const restore = install?.();
  try {
    for (let seed = 0; seed < seeds; seed++) {
      const options = parts === undefined ? { plan } : { parts, plan };
      const { violations } = await simulate(`broken-${seed}`, options);
      if (violations.length > 0) return violations;
    }
    return [];
  } finally {
    restore?.();
  }
}

describe('the simulation notices an agent or a hub that', () => {
  test.each([...MISTAKES])('%s', { timeout: TEST_MS_MAX }, async (_name, mistake) => {
    expect(await violationsOf(mistake, SEEDS_MAX)).not.toEqual([]);
  });
});

describe('the simulation accepts', () => {
  test('the format that is used to show a forgotten undo, as long as it forgets nothing', {
    timeout: TEST_MS_MAX,
  }, async () => {
    expect(await violationsOf(carefulFormat, SOUND_SEEDS)).toEqual([]);
  });

  test.each([...MISTAKES])(
    'the faults under which it notices one that %s',
    { timeout: TEST_MS_MAX },
    async (_name, mistake) => {
      expect(await violationsOf({ plan: mistake.plan }, SOUND_SEEDS)).toEqual([]);
    },
  );
});

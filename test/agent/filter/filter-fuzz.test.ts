import { expect, test } from 'vitest';
import { seedOfRun } from '../../tools/seeded-random.ts';
import { fuzzFilters } from './filter-fuzz.ts';

test('random filters do to random series what the model does, and no pattern hangs', () => {
  expect(fuzzFilters(seedOfRun(), 3000)).toEqual([]);
});

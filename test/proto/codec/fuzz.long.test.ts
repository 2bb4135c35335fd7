import { test } from 'vitest';
import { seededRandom, seedOfRun } from '../../tools/seeded-random.ts';
import { fuzz } from './fuzz.ts';

test('ten million random values of every kind come out bit for bit', () => {
  fuzz(seededRandom(seedOfRun()), 1e7);
});

import { expect, it } from 'vitest';
import { randomSeed } from './codec-fixture.ts';
import { fuzz } from './fuzz.ts';

it('ten million random values of every kind come out bit for bit', () => {
  const seed = randomSeed();
  console.log(`codec fuzz: seed ${seed}`);
  expect(() => fuzz(seed, 10_000_000)).not.toThrow();
});

import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeSimulationFolder } from '../sim/data-folder.ts';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';
import { type FilledBuffer, fillBuffer } from './salvage-fixture.ts';
import { flipBits } from './salvage-fuzz.ts';

let folder: string;
let filled: FilledBuffer;

beforeAll(() => {
  folder = makeSimulationFolder();
  filled = fillBuffer(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['killed', 'closed'] as const)('of a %s buffer only what was hit is lost', (state) => {
  const random = seededRandom(seedOfRun());
  expect(flipBits(filled[state], folder, random, 3000)).toEqual([]);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { type FilledBuffer, fillBuffer } from './salvage-fixture.ts';
import { flipBits } from './salvage-fuzz.ts';

let workspace: Workspace;
let filled: FilledBuffer;

beforeAll(() => {
  workspace = new Workspace('salvage-long');
  filled = fillBuffer(workspace.folder);
});
afterAll(() => workspace.close());

test.each(['killed', 'closed'] as const)('of a %s buffer only what was hit is lost', (state) => {
  const random = seededRandom(seedOfRun());
  expect(flipBits(filled[state], workspace.folder, random, 3000)).toEqual([]);
});

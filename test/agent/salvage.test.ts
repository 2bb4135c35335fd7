import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DamagedBufferError } from '../../agent/buffer/damage.ts';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { makeSimulationFolder } from '../sim/data-folder.ts';
import {
  type BufferDamage,
  DAMAGES_OF_DATABASE,
  DAMAGES_OF_LOG,
  DAMAGES_WHILE_OPEN,
} from '../tools/buffer-damages.ts';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';
import { openBuffer, samplesOf, T0 } from './buffer-fixture.ts';
import { lossAllowed, RowMap, unaccounted, without } from './salvage-check.ts';
import {
  drain,
  type FilledBuffer,
  Filler,
  fillBuffer,
  type KnownSample,
  TENANTS,
} from './salvage-fixture.ts';
import { flipBits } from './salvage-fuzz.ts';

let folder: string;
let filled: FilledBuffer;
let maps: Record<'killed' | 'closed', RowMap>;
let copies = 0;

beforeAll(() => {
  folder = makeSimulationFolder();
  filled = fillBuffer(folder);
  maps = { killed: new RowMap(filled.killed.dataDir), closed: new RowMap(filled.closed.dataDir) };
});
afterAll(() => rmSync(folder, { recursive: true }));

function copyOf(original: string): string {
  const copy = join(folder, `copy-${copies++}`);
  cpSync(original, copy, { recursive: true });
  return copy;
}

/** Segments that samples are of, for messages that can be read. */
function positions(samples: readonly KnownSample[]): string[] {
  return [...new Set(samples.map(({ tenant, position }) => `${tenant} ${position}`))];
}

/** What was lost, after it was shown that only damaged rows are and that all is accounted for. */
function damageAndOpen(state: 'killed' | 'closed', { name, apply, hitsWitness }: BufferDamage) {
  const { waiting, answered, dataDir: whole } = filled[state];
  const dataDir = copyOf(whole);
  const hits = apply(dataDir, seededRandom(name));
  const { buffer, lines } = openBuffer(dataDir, 'after');
  const lostAtOpen = { ...buffer.losses.samples };
  const found = drain(buffer);
  const missing = without(waiting, found);

  expect(positions(without(found, [...waiting, ...answered]))).toEqual([]);
  const isAllowed = lossAllowed(maps[state], hits);
  expect(positions(missing.filter((sample) => !isAllowed(sample)))).toEqual([]);
  if (hitsWitness !== true) {
    const { damaged, vanished } = buffer.losses.samples;
    expect(damaged + vanished).toBe(missing.length);
    expect(positions(unaccounted(missing, lines))).toEqual([]);
  }
  expect(buffer.append([{ tenant: '', columns: samplesOf(0, T0) }])).toBeUndefined();
  buffer.housekeep();
  buffer.close();

  const { buffer: later, lines: linesLater } = openBuffer(dataDir, 'later');
  expect(linesLater).toEqual([]);
  expect(later.losses).toEqual(emptyLosses());
  expect(later.backlog.get('')).toBe(1);
  later.close();
  return { missing: missing.length, lostAtOpen };
}

describe('a buffer that is damaged while no process has it open', () => {
  test.each(DAMAGES_OF_DATABASE)('$name: opens, and only damaged rows are lost', (damage) => {
    damageAndOpen('closed', damage);
  });

  test.each(DAMAGES_OF_LOG)('$name: opens, and only damaged rows are lost', (damage) => {
    damageAndOpen('killed', damage);
  });

  test.each(['killed', 'closed'] as const)('%s, in any bit: only what was hit is lost', (state) => {
    const random = seededRandom(seedOfRun());
    expect(flipBits(filled[state], folder, random, 15)).toEqual([]);
  });
});

describe('a buffer whose files are damaged while it is open', () => {
  /** Reading through the open files finds everything unless the bytes themselves are gone. */
  const survives = /deleted|replaced|elsewhere|older copy/;

  test.each(DAMAGES_WHILE_OPEN)('$name: goes on with what can be reached', ({ name, apply }) => {
    const { waiting, answered, dataDir: whole } = filled.closed;
    const dataDir = copyOf(whole);
    const filler = new Filler('running');
    const { buffer, lines } = openBuffer(dataDir, 'running');
    filler.restart(buffer);
    for (const tenant of TENANTS) filler.append(buffer, tenant, 900);
    buffer.housekeep();
    filler.append(buffer, 'a', 20);
    apply(dataDir, filled.older);
    expect(filler.append(buffer, 'b', 7)).toBe('recovering');
    expect(() => buffer.housekeep()).toThrow(DamagedBufferError);
    buffer.abandon();

    const { buffer: next, lines: linesNext } = openBuffer(dataDir, 'next', {}, buffer.losses);
    const found = drain(next);
    const all = [...waiting, ...filler.samples];
    const missing = without(all, found);
    expect(positions(without(found, [...all, ...answered]))).toEqual([]);
    if (survives.test(name)) expect(positions(missing)).toEqual([]);
    expect(next.losses.samples.damaged + next.losses.samples.vanished).toBe(missing.length);
    expect(positions(unaccounted(missing, [...lines, ...linesNext]))).toEqual([]);
    expect(next.losses.salvages).toBe(1);
    expect(next.append([{ tenant: 'b', columns: samplesOf(0, T0) }])).toBeUndefined();
    next.housekeep();
    next.close();

    const { buffer: later, lines: linesLater } = openBuffer(dataDir, 'later');
    expect(linesLater).toEqual([]);
    expect(later.backlog.get('b')).toBe(1);
    later.close();
  });
});

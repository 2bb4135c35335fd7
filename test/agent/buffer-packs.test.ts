import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PackLimits } from '../../agent/buffer/pack-selection.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, powerCut, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';
import {
  ALL,
  append,
  pack,
  packOf,
  partOf,
  type SampleBuffer,
  secondsIn,
  secondsOf,
} from './packs-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('buffer-packs');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

describe('what is packed', () => {
  const selected = (buffer: SampleBuffer, limits: Partial<PackLimits> = {}) =>
    buffer.packable('', { ...ALL, backlogEnd: 0, ...limits }).map(({ id }) => id);

  test('is a full pack of the oldest segments, and nothing that could still grow', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    append(buffer, 3);
    expect(selected(buffer, { samplesMax: 3 })).toEqual([]);
    append(buffer, 1, 3);
    expect(selected(buffer, { samplesMax: 3 })).toEqual([1, 2, 3]);
    expect(selected(buffer, { samplesMax: 4 })).toEqual([]);
    buffer.close();
  });

  test('spans at most ten minutes', () => {
    const { buffer } = openBuffer(dataDir, 'span');
    for (const minute of [0, 5, 10, 11, 30, 31]) append(buffer, 1, minute * 60);
    expect(selected(buffer)).toEqual([1, 2, 3]);
    pack(buffer, 3);
    expect(selected(buffer)).toEqual([4]);
    buffer.close();
  });

  test('is of one epoch', () => {
    const { buffer } = openBuffer(dataDir, 'epoch');
    append(buffer, 2);
    buffer.openEpoch();
    append(buffer, 1, 2);
    expect(selected(buffer)).toEqual([1, 2]);
    buffer.close();
  });

  test('has waited, for what is fresh may soon be sent as it is', () => {
    const { buffer, clock } = openBuffer(dataDir, 'fresh');
    append(buffer, 2);
    clock.ms += 1000;
    append(buffer, 2, 2);
    const limits = { samplesMax: 3, storedBefore: T0 };
    expect(selected(buffer, limits)).toEqual([]);
    expect(selected(buffer, { ...limits, storedBefore: T0 + 1000 })).toEqual([1, 2, 3]);
    buffer.close();
  });

  test('is, before the end of a backlog, whatever there is', () => {
    const { buffer } = openBuffer(dataDir, 'backlog');
    append(buffer, 4);
    expect(selected(buffer, { backlogEnd: 3, storedBefore: 0 })).toEqual([1, 2]);
    buffer.close();
  });

  test('is not in a batch, and lies side by side', () => {
    const { buffer } = openBuffer(dataDir, 'pinned');
    append(buffer, 7);
    buffer.read('', 2);
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([3, 4, 5, 6, 7]);
    buffer.read('', 1, 4);
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([5, 6, 7]);
    buffer.pin('', { first: 4, last: 4 });
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([1, 2, 3]);
    buffer.pin('', undefined);
    // A pack of the third and fourth alone: the others must not change places with it.
    const middle = buffer.packable('', ALL).slice(2, 4);
    buffer.storePack(middle, packOf(buffer, middle));
    expect(buffer.packable('', ALL).map(({ id }) => id)).toEqual([1, 2]);
    buffer.close();
  });

  test('of one tenant has nothing of another', () => {
    const { buffer } = openBuffer(dataDir, 'tenants');
    append(buffer, 2);
    append(buffer, 1, 2, 'other');
    append(buffer, 1, 3);
    const head = pack(buffer, 3);
    expect(head).toMatchObject({ id: 1, lastId: 4, samples: 3, tenant: '' });
    expect(buffer.packs('other')).toEqual([]);
    expect(secondsOf(buffer.read('other', 10))).toEqual([2]);
    buffer.close();
  });
});

describe('a pack', () => {
  test('takes the place of its segments: nothing is read twice, the rest in order', () => {
    const { buffer } = openBuffer(dataDir, 'place');
    append(buffer, 5);
    const head = pack(buffer, 3);
    expect(head).toMatchObject({ id: 1, lastId: 3, samples: 3, oldest: T0, newest: T0 + 2000 });
    expect(head.positions).toMatchObject([{ run: buffer.run, first: 1, last: 3 }]);
    expect(buffer.backlog.get('')).toBe(5);
    expect(buffer.unpackedSamples('')).toBe(2);
    expect(secondsIn(buffer, head)).toEqual([0, 1, 2]);
    // What lies behind the pack is not read as long as the pack is there.
    expect(buffer.read('', 10)).toEqual([]);
    expect(secondsOf(buffer.read('', 10, 4))).toEqual([3, 4]);
    expect(buffer.hasSegmentBefore('', head.id)).toBe(false);
    buffer.close();
  });

  test('survives a power cut, and so does where its samples belong', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    append(buffer, 5);
    const head = pack(buffer, 3);
    const { buffer: later } = openBuffer(powerCut(dataDir), 'two');
    expect(later.packs('')).toEqual([head]);
    expect(later.backlog.get('')).toBe(5);
    expect(later.unpackedSamples('')).toBe(2);
    expect(secondsIn(later, later.packs('')[0]!)).toEqual([0, 1, 2]);
    expect(later.losses.vanishedSegments).toBe(0);
    append(later, 1, 5);
    expect(later.read('', 10, 4).map(({ id }) => id)).toEqual([4, 5, 6]);
    later.close();
    buffer.close();
  });

  test.each<[string, (buffer: SampleBuffer) => void]>([
    [
      'was answered for',
      (buffer) => buffer.acknowledge('', [{ run: buffer.run, first: 2, last: 2 }]),
    ],
    ['is about to be sent', (buffer) => buffer.read('', 1, 2)],
  ])('is not stored when one of its segments %s meanwhile', (_, happen) => {
    const { buffer } = openBuffer(dataDir, 'race');
    append(buffer, 3);
    const segments = buffer.packable('', ALL);
    const row = packOf(buffer, segments);
    happen(buffer);
    expect(buffer.storePack(segments, row)).toBe(false);
    expect(buffer.packs('')).toEqual([]);
    const left = buffer.backlog.get('');
    expect(secondsOf(buffer.read('', 10))).toHaveLength(left!);
    buffer.close();
  });

  test('is answered for only when all of its segments are', () => {
    const { buffer } = openBuffer(dataDir, 'answers');
    append(buffer, 4);
    pack(buffer, 3);
    const { run } = buffer;
    expect(buffer.acknowledge('', [{ run, first: 1, last: 2 }])).toBe(0);
    expect(buffer.acknowledge('', [{ run: run + 1n, first: 1, last: 3 }])).toBe(0);
    expect(buffer.acknowledge('other', [{ run, first: 1, last: 3 }])).toBe(0);
    expect(buffer.packs('')).toHaveLength(1);
    const apart = [
      { run, first: 1, last: 1 },
      { run, first: 2, last: 4 },
    ];
    expect(buffer.acknowledge('', apart)).toBe(4);
    expect(buffer.packs('')).toEqual([]);
    expect(buffer.backlog.get('')).toBe(0);
    const { buffer: later } = openBuffer(powerCut(dataDir), 'later');
    expect(later.packs('')).toEqual([]);
    later.close();
    buffer.close();
  });

  test('keeps the dictionary that its ids refer to as long as it is there', () => {
    const { buffer, clock } = openBuffer(dataDir, 'epoch');
    const newEntries = { firstId: 0, entries: seriesEntries('old') };
    buffer.append([{ tenant: '', columns: samplesOf(0, T0), newEntries }]);
    const head = pack(buffer, 1);
    const { epoch } = buffer.dictionary;
    buffer.openEpoch();
    clock.ms += 1000;
    buffer.housekeep();
    expect(buffer.dictionaryOfEpoch(head.epoch).epoch).toBe(epoch);
    buffer.acknowledge('', head.positions);
    buffer.housekeep();
    expect(buffer.dictionaries).toEqual([buffer.dictionary]);
    buffer.close();
  });

  test('is split into packs at its place, with positions of their own', () => {
    const { buffer } = openBuffer(dataDir, 'split');
    append(buffer, 5);
    const whole = pack(buffer, 4);
    const parts = [partOf(0, 1), partOf(2, 3)];
    expect(buffer.replacePack(whole, parts)).toBe(true);
    const [first, second] = buffer.packs('');
    expect(first).toMatchObject({ id: 1, lastId: 4, firstSample: 0 });
    expect(second).toMatchObject({ id: 1, lastId: 4, firstSample: 2 });
    expect(first!.positions).toMatchObject([{ run: buffer.run, first: 6, last: 6 }]);
    expect(second!.positions).toMatchObject([{ run: buffer.run, first: 7, last: 7 }]);
    expect(secondsIn(buffer, second!)).toEqual([2, 3]);
    // What was answered for of the whole says nothing of the parts.
    expect(buffer.acknowledge('', whole.positions)).toBe(0);
    append(buffer, 1, 5);
    expect(buffer.read('', 10, 5).map(({ sequence }) => sequence)).toEqual([5, 8]);
    expect(buffer.replacePack(whole, parts)).toBe(false);
    buffer.close();
  });
});

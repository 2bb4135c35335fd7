import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { BufferOptions } from '../../agent/buffer/buffer.ts';
import { Parking } from '../../agent/parking.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import { noise, type OpenBuffer, openBuffer, seriesEntries, T0 } from './buffer-fixture.ts';
import { failingDisk } from './packs-fixture.ts';

/** Samples of a segment here; their values do not compress. */
const SAMPLES = 1000;
/** Everything up to now is too old. */
const WINDOW = { oldest: T0 + 1, newest: Number.POSITIVE_INFINITY };

let workspace: Workspace;
let dataDir: string;
let opened: OpenBuffer;

function open(seed: string, options: Partial<BufferOptions> = {}): OpenBuffer {
  opened = openBuffer(dataDir, seed, options);
  return opened;
}

/** Stores a segment of a tenant whose samples are of `T0 - ageMs`, and parks it. */
function park(seed: string, tenant = 'bad', ageMs = 0): void {
  const { buffer, clock } = opened;
  const columns = noise(SAMPLES, seed);
  columns.timestamps.fill(T0 - ageMs, 0, columns.count);
  expect(buffer.append([{ tenant, columns }])).toBeUndefined();
  const parking = new Parking({
    buffer,
    targets: new TargetKeys(buffer),
    clock,
    log: memoryLog().log,
  });
  expect(parking.parkSegments(buffer.read(tenant, 1e6), WINDOW)).toBe(true);
  buffer.pin(tenant, undefined);
}

const append = (seed: string) =>
  opened.buffer.append([{ tenant: 'good', columns: noise(10 * SAMPLES, seed) }]);

beforeEach(() => {
  workspace = new Workspace('parking-limit');
  dataDir = workspace.subfolder('data');
  const { buffer } = openBuffer(dataDir, 'entries');
  const newEntries = { firstId: 0, entries: seriesEntries('a') };
  buffer.append([{ tenant: 'good', columns: noise(1, 'first'), newEntries }]);
  buffer.close();
});
afterEach(async () => {
  vi.restoreAllMocks();
  opened.buffer.close();
  await workspace.close();
});

describe('what is parked, beyond its limit', () => {
  const parkedBytesMax = 2 ** 17;

  test('is evicted, the oldest first, counted and logged with its time range', () => {
    const { buffer, lines } = open('limit', { parkedBytesMax });
    for (let at = 0; at < 40; at++) {
      park(`of ${at}`, 'bad', 40 - at);
      if (at % 10 === 9) buffer.housekeep();
    }
    const kept = buffer.parkedPacks.map(({ oldest }) => oldest - T0);
    expect(kept.length).toBeGreaterThan(5);
    expect(kept).toEqual(kept.map((_, index) => index - kept.length));
    expect(buffer.parkedBytes).toBeLessThanOrEqual(parkedBytesMax);
    const evicted = (40 - kept.length) * SAMPLES;
    expect(buffer.losses.samples).toMatchObject({ parked: evicted, bytes: 0 });
    expect([buffer.parkedSamples, buffer.backlog.get('bad')]).toEqual(
      Array(2).fill(kept.length * SAMPLES),
    );
    const said = lines.filter(({ reason }) => reason === 'parked');
    expect(said.reduce((sum, { samples }) => sum + Number(samples), 0)).toBe(evicted);
    expect(said[0]).toMatchObject({ tenant: 'bad', oldest: new Date(T0 - 40).toISOString() });
  });

  test('is evicted when the limit is lowered, and what is not parked stays', () => {
    const { buffer } = open('lowered', { parkedBytesMax });
    for (let at = 0; at < 10; at++) park(`of ${at}`);
    append('live');
    buffer.parkedBytesMax = 40_000;
    buffer.housekeep();
    expect(buffer.parkedBytes).toBeLessThanOrEqual(40_000);
    expect(buffer.parkedBytes).toBeGreaterThan(20_000);
    expect(buffer.losses.samples.parked).toBe(10 * SAMPLES - buffer.parkedSamples);
    expect(buffer.backlog.get('good')).toBe(10 * SAMPLES + 1);
    buffer.close();
    const next = open('next', { parkedBytesMax: 20_000 }).buffer;
    next.housekeep();
    expect(next.parkedBytes).toBeLessThanOrEqual(20_000);
    expect(next.losses.samples).toMatchObject({ vanished: 0, damaged: 0 });
  });

  test('is parked all the same while the disk does not let the oldest go, and evicted later', () => {
    const { buffer } = open('failing', { parkedBytesMax });
    for (let at = 0; at < 10; at++) park(`of ${at}`);
    buffer.parkedBytesMax = 20_000;
    failingDisk();
    buffer.housekeep();
    expect([buffer.parkedSamples, buffer.losses.samples.parked]).toEqual([10 * SAMPLES, 0]);
    vi.restoreAllMocks();
    buffer.housekeep();
    expect(buffer.parkedBytes).toBeLessThanOrEqual(20_000);
  });

  test('is said in a hundred lines a minute, however often it is evicted', () => {
    const { buffer, lines } = open('often', { parkedBytesMax: 1 });
    for (let at = 0; at < 110; at++) {
      park('same');
      buffer.housekeep();
    }
    expect(buffer.losses.samples.parked).toBe(110 * SAMPLES);
    expect(lines.filter(({ reason }) => reason === 'parked')).toHaveLength(100);
  });
});

test('nothing leaves for want of room that what was answered for can make', () => {
  const { buffer } = open('answered', { bytesMax: 2 * 2 ** 20, parkedBytesMax: 2 ** 20 });
  for (let at = 0; at < 20; at++) park(`of ${at}`);
  let stored = 0;
  while (buffer.usedBytes() < 1.7 * 2 ** 20) append(`live ${stored++}`);
  failingDisk();
  const all = { run: buffer.run, first: 1, last: stored };
  expect(buffer.acknowledge('good', [all])).toBe(0);
  vi.restoreAllMocks();
  for (let at = 0; at < 5; at++) expect(append(`more ${at}`)).toBeUndefined();
  expect(buffer.losses.samples.parked).toBe(0);
  expect(buffer.backlog.get('good')).toBe(5 * 10 * SAMPLES + 1);
});

describe.each(['reject', 'drop_oldest'] as const)('where room is needed (%s)', (whenFull) => {
  const bytesMax = 2 * 2 ** 20;

  test('all that is parked leaves before anything else is refused or evicted', () => {
    const { buffer } = open('full', { bytesMax, parkedBytesMax: 2 ** 20, whenFull });
    for (let at = 0; at < 60; at++) park(`of ${at}`);
    const before = buffer.parkedSamples;
    let stored = 0;
    while (buffer.losses.samples.parked < before) {
      expect(append(`live ${stored}`)).toBeUndefined();
      stored++;
      expect(buffer.losses.samples.bytes).toBe(0);
    }
    expect(stored).toBeGreaterThan(10);
    expect(buffer.backlog.get('good')).toBe(stored * 10 * SAMPLES + 1);
    expect([buffer.parkedSamples, buffer.parkedBytes]).toEqual([0, 0]);
    let answer: string | undefined;
    for (let at = 0; at < 10; at++) answer = append(`more ${at}`);
    expect(answer).toBe(whenFull === 'reject' ? 'buffer_full' : undefined);
    expect(buffer.losses.samples.bytes > 0).toBe(whenFull === 'drop_oldest');
    expect(buffer.losses.samples.parked).toBe(before);
  });
});

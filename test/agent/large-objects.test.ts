import { createCipheriv } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  BATCH_BODY_BYTES_MAX,
  BATCH_CONTENT_BYTES_MAX,
  selectBatch,
} from '../../agent/buffer/batch-selection.ts';
import { segmentRows } from '../../agent/buffer/segment-rows.ts';
import type { SegmentRow } from '../../agent/buffer/segment-table.ts';
import { PackMaker } from '../../agent/encode/pack-maker.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeSegment, SEGMENT_OBJECT_BYTES_MAX } from '../../proto/segment.ts';
import { field } from '../proto/wire-fixture.ts';
import { seedOfRun } from '../tools/seeded-random.ts';

/** Bytes without end that do not compress. */
const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, seedOfRun()), Buffer.alloc(16));

/** A histogram with a field that nobody knows. */
function large(bytes: number): Uint8Array {
  return Uint8Array.from(field(30, noise.update(Buffer.alloc(bytes))));
}

function columnsOf(sizes: readonly number[]): SampleColumns {
  const columns = new SampleColumns();
  sizes.forEach((bytes, row) => {
    if (bytes === 0) columns.push(row, row, row, 0);
    else columns.pushObject('histogram', row, row, large(bytes));
  });
  return columns;
}

function rowsOf(...parts: SampleColumns[]): SegmentRow[] {
  const group = parts.map((columns) => ({ tenant: 't', columns }));
  return segmentRows(group, new Map(), { epoch: 1, run: 'a', storedAt: 1 });
}

function decoded({ body, samples }: SegmentRow): SampleColumns {
  const columns = new SampleColumns();
  decodeSegment(body, samples, columns);
  return columns;
}

const digests = ({ objects }: SampleColumns) =>
  objects.map(({ row, bytes }) => `${row} ${bytes.length} ${crc32(bytes)}`);
const sizeOf = ({ objects }: SampleColumns) =>
  objects.reduce((sum, { bytes }) => sum + bytes.length, 0);

describe('native histograms that are large', () => {
  const MIB = 2 ** 20;
  const parts = [[0, MIB, 0, 2 * MIB], [MIB, 1, 0], [0, 5 * MIB, 0], [0]].map(columnsOf);

  test('are cut into segments of a bounded size, in order and with what is around them', () => {
    const segments = rowsOf(...parts).map(decoded);
    const all = new SampleColumns();
    for (const part of parts) all.appendRows(part);
    const joined = new SampleColumns();
    for (const segment of segments) joined.appendRows(segment);
    expect(joined.count).toBe(all.count);
    expect(digests(joined)).toEqual(digests(all));
    expect(joined.timestamps.subarray(0, all.count)).toEqual(all.timestamps.subarray(0, all.count));
    for (const segment of segments) {
      const isSingle = segment.objects.length === 1;
      if (!isSingle) expect(sizeOf(segment)).toBeLessThanOrEqual(SEGMENT_OBJECT_BYTES_MAX);
    }
    expect(segments.length).toBe(3);
  });

  test('make batches of a bounded size', () => {
    const stored = rowsOf(...parts).map((row, id) => ({ ...row, id, isIntact: true }));
    const [first, second] = stored.map(({ body }) => body.length) as [number, number];
    expect(first + second).toBeGreaterThan(BATCH_BODY_BYTES_MAX);
    expect(selectBatch(stored, 50_000).segments).toHaveLength(1);
  });

  test('make batches of a bounded size where they are all alike', () => {
    const alike = new SampleColumns();
    const bytes = Uint8Array.from(field(30, new Uint8Array(MIB)));
    for (let row = 0; row < 60; row++) alike.pushObject('histogram', row, row, bytes);
    const stored = rowsOf(alike).map((row, id) => ({ ...row, id, isIntact: true }));
    expect(stored.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThan(MIB / 10);
    const { segments } = selectBatch(stored, 50_000);
    const samples = segments.reduce((sum, one) => sum + one.samples, 0);
    expect(samples * MIB).toBeLessThanOrEqual(BATCH_CONTENT_BYTES_MAX);
    expect(segments.length).toBeGreaterThan(1);
  });

  test('end a section of a pack, so that the pack can end', () => {
    const maker = new PackMaker(() => 0);
    const [first] = rowsOf(columnsOf([0, MIB])) as [SegmentRow];
    expect(maker.add(first)).toBe(true);
    expect(maker.bytes).toBeGreaterThan(MIB);
    const [small] = rowsOf(columnsOf([0, 100])) as [SegmentRow];
    expect(maker.add({ ...small, sequence: 2 })).toBe(false);
  });
});

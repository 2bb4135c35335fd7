import { vi } from 'vitest';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import type { PackLimits } from '../../agent/buffer/pack-selection.ts';
import type { PackHead, PackPart, PackRow } from '../../agent/buffer/pack-table.ts';
import type { SegmentHead } from '../../agent/buffer/segment-table.ts';
import { PackMaker } from '../../agent/encode/pack-maker.ts';
import { assert } from '../../base/assert.ts';
import { decodePack, PackEncoder } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { timeRange } from '../../proto/time-range.ts';
import { type OpenBuffer, rowsOf, samplesOf, T0 } from './buffer-fixture.ts';

export type SampleBuffer = OpenBuffer['buffer'];

/** Everything that is stored is a backlog. */
export const ALL: PackLimits = {
  samplesMax: 1000,
  storedBefore: Number.POSITIVE_INFINITY,
  backlogEnd: Number.POSITIVE_INFINITY,
};

/** Appends segments of one sample each, a second apart from `from` on. */
export function append(buffer: SampleBuffer, segments: number, from = 0, tenant = ''): void {
  for (let at = from; at < from + segments; at++) {
    buffer.append([{ tenant, columns: samplesOf(0, T0 + at * 1000) }]);
  }
}

/** The pack of stored segments, as packing.ts makes it. */
export function packOf(buffer: SampleBuffer, segments: readonly SegmentHead[]): PackRow {
  const maker = new PackMaker(() => 0);
  for (const head of segments) maker.add(buffer.readSegment(head)!);
  const [first, last] = [segments[0]!, segments.at(-1)!];
  const { tenant, epoch, oldest } = first;
  const { storedAt, newest } = last;
  const where = {
    id: first.id,
    lastId: last.id,
    firstSample: 0,
    tenant,
    epoch,
    storedAt,
    oldest,
    newest,
  };
  return { ...maker.finish(), ...where };
}

/** Packs the oldest `samplesMax` samples of a tenant. */
export function pack(buffer: SampleBuffer, samplesMax: number, tenant = ''): PackHead {
  const segments = buffer.packable(tenant, { ...ALL, samplesMax });
  assert(buffer.storePack(segments, packOf(buffer, segments)), 'not stored');
  return buffer.packs(tenant).find(({ id }) => id === segments[0]!.id)!;
}

/** Samples of these seconds behind T0, as a part of a pack that was split. */
export function partOf(...seconds: number[]): PackPart {
  const columns = samplesOf(0, ...seconds.map((at) => T0 + at * 1000));
  const format = 3;
  const encoder = new PackEncoder(sampleFormats.get(format)!, () => 0);
  encoder.add(columns);
  return { samples: columns.count, format, ...timeRange(columns), body: encoder.finish() };
}

/** Seconds behind T0 of the samples in a pack. */
export function secondsIn(buffer: SampleBuffer, head: PackHead): number[] | undefined {
  const body = buffer.readPack(head);
  if (body === undefined) return undefined;
  const columns = new SampleColumns();
  decodePack(body, { ...head, idsMax: 100 }, columns);
  return Array.from(columns.timestamps.subarray(0, columns.count), (ms) => (ms - T0) / 1000);
}

/** The same of the samples in segments. */
export function secondsOf(segments: Parameters<typeof rowsOf>[0]): number[] {
  return rowsOf(segments).map(([, timestamp]) => (timestamp! - T0) / 1000);
}

/** From now on every transaction fails, as on a full disk. */
export function failingDisk(): void {
  vi.spyOn(BufferDatabase.prototype, 'transaction').mockImplementation(() => {
    throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
  });
}

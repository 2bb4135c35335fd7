import type { Log } from '../base/log.ts';
import { decodePack, PackEncoder } from '../proto/pack.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { sampleFormats } from '../proto/sample-format.ts';
import { timeRange } from '../proto/time-range.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackHead, PackPart } from './buffer/pack-table.ts';
import type { TargetKeys } from './target-keys.ts';

export interface SplitDeps {
  buffer: Buffer;
  targets: TargetKeys;
  log: Log;
}

/**
 * Splits a pack that a hub refuses as too large into two. The samples of a series keep their order:
 * the first half of the rows goes first.
 */
export function splitPack(pack: PackHead, deps: SplitDeps): boolean {
  const { tenant, samples } = pack;
  const columns = readColumns(pack, deps);
  if (columns === undefined || samples < 2) return false;
  const middle = Math.ceil(samples / 2);
  const parts = [
    encodePart(columns, { from: 0, to: middle }, pack, deps),
    encodePart(columns, { from: middle, to: samples }, pack, deps),
  ];
  if (!deps.buffer.replacePack(pack, parts)) return false;
  deps.log.info({ tenant, samples }, 'split a pack that the hub refuses as too large');
  return true;
}

/** Writes a pack anew in a samples format that the hub reads: it was packed for a newer one. */
export function recodePack(pack: PackHead, format: number, deps: SplitDeps): boolean {
  const { tenant, samples } = pack;
  const columns = readColumns(pack, deps);
  if (columns === undefined) return false;
  const part = encodePart(columns, { from: 0, to: samples }, { ...pack, format }, deps);
  if (!deps.buffer.replacePack(pack, [part])) return false;
  deps.log.info({ tenant, samples, format }, 'wrote a pack in a format that the hub reads');
  return true;
}

/** The samples of a pack; undefined where they cannot be read, now or by this version. */
function readColumns(pack: PackHead, { buffer }: SplitDeps): SampleColumns | undefined {
  const body = sampleFormats.has(pack.format) ? buffer.readPack(pack) : undefined;
  if (body === undefined) return undefined;
  buffer.unpinPack(pack);
  const columns = new SampleColumns(pack.samples);
  const idsMax = buffer.dictionaryOfEpoch(pack.epoch).length;
  decodePack(body, { ...pack, idsMax }, columns);
  return columns;
}

function encodePart(
  columns: SampleColumns,
  { from, to }: { from: number; to: number },
  { format, epoch }: PackHead,
  { buffer, targets }: SplitDeps,
): PackPart {
  const part = new SampleColumns(to - from);
  part.appendRows(columns, from, to);
  const keyOf = targets.keysOf(buffer.dictionaryOfEpoch(epoch).epoch);
  const encoder = new PackEncoder(sampleFormats.get(format)!, keyOf);
  encoder.add(part);
  return { samples: part.count, format, ...timeRange(part), body: encoder.finish() };
}

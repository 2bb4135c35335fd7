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
export function splitPack(pack: PackHead, { buffer, targets, log }: SplitDeps): boolean {
  const body = buffer.readPack(pack);
  if (body === undefined) return false;
  const dictionary = buffer.dictionaryOfEpoch(pack.epoch);
  const columns = new SampleColumns(pack.samples);
  decodePack(body, { ...pack, idsMax: dictionary.length }, columns);
  const keyOf = targets.keysOf(dictionary.epoch);
  const middle = Math.ceil(columns.count / 2);
  const parts = [encodePart(columns, 0, middle, pack, keyOf)];
  if (middle < columns.count) parts.push(encodePart(columns, middle, columns.count, pack, keyOf));
  buffer.unpinPack(pack);
  const isSplit = parts.length > 1 && buffer.replacePack(pack, parts);
  const { tenant, samples } = pack;
  if (isSplit) log.info({ tenant, samples }, 'split a pack that the hub refuses as too large');
  return isSplit;
}

function encodePart(
  columns: SampleColumns,
  from: number,
  to: number,
  { format }: PackHead,
  keyOf: (id: number) => number,
): PackPart {
  const part = new SampleColumns(to - from);
  part.appendRows(columns, from, to);
  const encoder = new PackEncoder(sampleFormats.get(format)!, keyOf);
  encoder.add(part);
  return { samples: part.count, format, ...timeRange(part), body: encoder.finish() };
}

import { decodePack, PackEncoder } from '../proto/pack.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { sampleFormats } from '../proto/sample-format.ts';
import { timeRange } from '../proto/time-range.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackHead, PackPart } from './buffer/pack-table.ts';
import type { TargetKeys } from './target-keys.ts';

/** The samples of a pack; undefined where they cannot be read, now or by this version. */
export function readPackColumns(pack: PackHead, buffer: Buffer): SampleColumns | undefined {
  const body = sampleFormats.has(pack.format) ? buffer.readPack(pack) : undefined;
  if (body === undefined) return undefined;
  buffer.unpinPack(pack);
  return decodePackColumns(pack, body, buffer);
}

/** The samples in the body of a pack, in a format that this version knows. */
export function decodePackColumns(pack: PackHead, body: Uint8Array, buffer: Buffer): SampleColumns {
  const columns = new SampleColumns(pack.samples);
  const idsMax = buffer.dictionaryOfEpoch(pack.epoch).length;
  decodePack(body, { ...pack, idsMax }, columns);
  return columns;
}

/** Writes samples whose ids are those of an epoch, by its local key, as a pack. */
export function encodePackPart(
  columns: SampleColumns,
  { format, epoch }: Pick<PackHead, 'format' | 'epoch'>,
  { buffer, targets }: { buffer: Buffer; targets: TargetKeys },
): PackPart {
  const keyOf = targets.keysOf(buffer.dictionaryOfEpoch(epoch).epoch);
  const encoder = new PackEncoder(sampleFormats.get(format)!, keyOf);
  encoder.add(columns);
  return { samples: columns.count, format, ...timeRange(columns), body: encoder.finish() };
}

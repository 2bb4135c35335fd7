import type { Log } from '../base/log.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackHead } from './buffer/pack-table.ts';
import { encodePackPart, readPackColumns } from './pack-columns.ts';
import type { TargetKeys } from './target-keys.ts';

export interface SplitDeps {
  buffer: Buffer;
  targets: TargetKeys;
  log: Log;
}

/**
 * Splits a pack that is too large, for the hub or for the link, into two. The samples of a series
 * keep their order: the first half of the rows goes first.
 */
export function splitPack(pack: PackHead, deps: SplitDeps): boolean {
  const { tenant, samples } = pack;
  const columns = readPackColumns(pack, deps.buffer);
  if (columns === undefined || samples < 2) return false;
  const middle = Math.ceil(samples / 2);
  const halves = [new SampleColumns(middle), new SampleColumns(middle)] as const;
  halves[0].appendRows(columns, 0, middle);
  halves[1].appendRows(columns, middle, samples);
  const parts = halves.map((half) => encodePackPart(half, pack, deps));
  if (!deps.buffer.replacePack(pack, parts)) return false;
  deps.log.info({ tenant, samples }, 'split a pack that is too large for the hub or for the link');
  return true;
}

/** Writes a pack anew in a samples format that the hub reads: it was packed for a newer one. */
export function recodePack(pack: PackHead, format: number, deps: SplitDeps): boolean {
  const { tenant, samples } = pack;
  const columns = readPackColumns(pack, deps.buffer);
  if (columns === undefined) return false;
  const part = encodePackPart(columns, { ...pack, format }, deps);
  if (!deps.buffer.recodePack(pack, part)) return false;
  deps.log.info({ tenant, samples, format }, 'wrote a pack in a format that the hub reads');
  return true;
}

import type { Log } from '../base/log.ts';
import { decodeEntry } from '../proto/dictionary-entry.ts';
import { formatLabelSetStart } from '../proto/label-set.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackHead } from './buffer/pack-table.ts';
import { SeriesCensus } from './encode/series-census.ts';
import { runsOf, SeriesParts } from './encode/series-parts.ts';
import { encodePackPart, readPackColumns } from './pack-columns.ts';
import type { TargetKeys } from './target-keys.ts';

/** A line of a log should have no more of a label set. */
const NAME_CHARS_MAX = 500;

/** Of one split; parts that are too large still are split again. */
const PARTS_MAX = 64;

export interface SplitDeps {
  buffer: Buffer;
  targets: TargetKeys;
  log: Log;
}

/**
 * Splits a pack that is too large, for the hub or for the link, into packs of about `bytesMax` or
 * less. Each has the samples of other series: a series costs more where it begins. Those of one
 * series alone are cut in the middle, and the earlier ones go first.
 */
export function splitPack(pack: PackHead, bytesMax: number, deps: SplitDeps): boolean {
  const { tenant, samples, bytes } = pack;
  const columns = readPackColumns(pack, deps.buffer);
  if (columns === undefined || samples < 2) return false;
  const count = Math.min(PARTS_MAX, Math.max(2, Math.ceil(bytes / bytesMax)));
  const bySeries = partBySeries(columns, count);
  const columnsOfParts = bySeries.length > 1 ? bySeries : inHalves(columns);
  const parts = columnsOfParts.map((part) => encodePackPart(part, pack, deps));
  if (!deps.buffer.replacePack(pack, parts)) return false;
  deps.log.info(
    { tenant, samples, packs: parts.length },
    'split a pack that is too large for the hub or for the link',
  );
  return true;
}

/** Up to `count` parts with about as many series each. */
function partBySeries(columns: SampleColumns, count: number): SampleColumns[] {
  const census = new SeriesCensus();
  census.count(columns);
  const numberOf = census.numbers();
  const split = new SeriesParts(Math.min(count, census.series), census.series);
  const parts = Array.from({ length: split.count }, () => new SampleColumns());
  for (const { part, from, to } of runsOf(columns, (id) => split.partOf(numberOf(id)))) {
    parts[part]!.appendRows(columns, from, to);
  }
  return parts;
}

function inHalves(columns: SampleColumns): SampleColumns[] {
  const middle = Math.ceil(columns.count / 2);
  const halves = [new SampleColumns(middle), new SampleColumns(middle)] as const;
  halves[0].appendRows(columns, 0, middle);
  halves[1].appendRows(columns, middle);
  return [...halves];
}

/** The label set of a pack's first sample, to be read by people; undefined where it is gone. */
export function nameSeries(pack: PackHead, buffer: Buffer): string | undefined {
  const id = readPackColumns(pack, buffer)?.ids[0];
  if (id === undefined) return undefined;
  const [entry] = buffer.dictionaryOfEpoch(pack.epoch).entries(id);
  const decoded = entry && decodeEntry(entry);
  if (decoded?.kind !== 'series') return undefined;
  return formatLabelSetStart(decoded.labels, 0, decoded.labels.length, NAME_CHARS_MAX);
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

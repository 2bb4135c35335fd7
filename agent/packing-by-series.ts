import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackPart } from './buffer/pack-table.ts';
import { placeOf } from './buffer/packs.ts';
import type { SegmentHead, StoredSegment } from './buffer/segment-table.ts';
import { SeriesCensus } from './encode/series-census.ts';
import { type PackSize, SeriesPacks } from './encode/series-packs.ts';
import { SeriesParts } from './encode/series-parts.ts';
import type { TargetKeys } from './target-keys.ts';

/** A quarter of the segments tells how many series there are, but no fewer than these. */
const GLANCE_SHARE = 0.25;
const GLANCE_SEGMENTS_MIN = 8;
/** Of a pack in samples: parts differ, and what is over would become a small pack of its own. */
const FILLING = 0.8;
/** In steps of this share of the whole: targets are scraped periodically, and the steps are not. */
const GOLDEN_RATIO = 0.618_033_988_75;

export interface SeriesPackingDeps {
  buffer: Buffer;
  targets: TargetKeys;
  clock: Clock;
  log: Log;
}

/**
 * What became of a try. `given up`: something has happened to a segment, and what is left has to be
 * looked at anew. `failed`: it could not be stored.
 */
export type Packed = 'stored' | 'failed' | 'given up';

/**
 * Makes packs of all that is in `heads`, each with a part of the series: so a pack has many samples
 * of each, and its loss is that of some series for ten minutes.
 *
 * @param series about how many there are
 */
export async function packBySeries(
  heads: readonly SegmentHead[],
  series: number,
  size: PackSize,
  deps: SeriesPackingDeps,
  signal: AbortSignal,
): Promise<Packed> {
  const { buffer, targets, clock, log } = deps;
  // Only a row that was read is known to be what was written, its epoch included.
  const first = buffer.readSegment(heads[0]!);
  if (first === undefined) return 'given up';
  const keyOf = targets.keysOf(buffer.dictionaryOfEpoch(first.epoch).epoch);
  const samples = heads.reduce((sum, head) => sum + head.samples, 0);
  const count = Math.ceil(samples / (FILLING * size.samplesMax));
  const packs = new SeriesPacks(new SeriesParts(count, series), size, keyOf);
  const isRead = await readAll(heads, deps, signal, (segment) => packs.add(segment));
  if (!isRead) return 'given up';
  const parts: PackPart[] = [];
  for (const part of packs.finish()) {
    parts.push(part);
    await clock.sleep(0, signal);
    if (signal.aborted || !buffer.isPackable(heads[0]!)) return 'given up';
  }
  const place = placeOf(heads);
  if (!buffer.storePacks(heads, place, parts)) return 'failed';
  buffer.compact();
  const segments = heads.length;
  const bytes = parts.reduce((sum, { body }) => sum + body.length, 0);
  const { tenant } = place;
  log.debug(
    { tenant, segments, samples, packs: parts.length, bytes },
    'packed a backlog by series',
  );
  return 'stored';
}

/** About how many series there are in segments; undefined: one of these is gone. */
export async function countSeries(
  heads: readonly SegmentHead[],
  deps: SeriesPackingDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  const count = Math.max(GLANCE_SEGMENTS_MIN, Math.ceil(GLANCE_SHARE * heads.length));
  const some = heads.length <= count ? heads : spreadOver(heads, count);
  const census = new SeriesCensus();
  const isRead = await readAll(some, deps, signal, (segment) => census.add(segment));
  return isRead ? census.series : undefined;
}

/** The first one and others from all over. */
function spreadOver(heads: readonly SegmentHead[], count: number): SegmentHead[] {
  return Array.from({ length: count }, (_, at) => {
    return heads[Math.floor(heads.length * ((at * GOLDEN_RATIO) % 1))]!;
  });
}

/**
 * Reads segments one by one, and lets others have their turn where `use` says so. False when one is
 * gone, or when the first is about to be sent: then the others will be as well.
 */
async function readAll(
  heads: readonly SegmentHead[],
  { buffer, clock }: SeriesPackingDeps,
  signal: AbortSignal,
  use: (segment: StoredSegment) => boolean,
): Promise<boolean> {
  for (const head of heads) {
    const segment = buffer.readSegment(head);
    if (segment === undefined) return false;
    if (!use(segment)) continue;
    await clock.sleep(0, signal);
    // As long as the first is there, so is the dictionary of its epoch.
    if (signal.aborted || !buffer.isPackable(heads[0]!)) return false;
  }
  return true;
}

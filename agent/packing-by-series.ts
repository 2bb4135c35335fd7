import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Buffer } from './buffer/buffer.ts';
import { placeOf } from './buffer/packs.ts';
import type { SegmentHead, StoredSegment } from './buffer/segment-table.ts';
import { type PackSize, RangePacks } from './encode/range-packs.ts';
import { SeriesCensus } from './encode/series-census.ts';
import type { TargetKeys } from './target-keys.ts';

/** A quarter of the segments tells whether series are many, but no fewer than these. */
const GLANCE_SHARE = 0.25;
const GLANCE_SEGMENTS_MIN = 8;
/** So many tell where to cut them. */
const CENSUS_SEGMENTS = 512;
/** Of a pack in samples: ranges differ, and what is over would become a small pack of its own. */
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

/** What several packs are made of: all of the backlog of one tenant, or the oldest of it. */
export async function packBySeries(
  heads: readonly SegmentHead[],
  size: PackSize,
  deps: SeriesPackingDeps,
  signal: AbortSignal,
): Promise<Packed> {
  const { buffer, log } = deps;
  const census = await takeCensus(heads, CENSUS_SEGMENTS, deps, signal);
  if (census === undefined) return 'given up';
  const samples = heads.reduce((sum, head) => sum + head.samples, 0);
  const ranges = census.ranges(Math.ceil(samples / (FILLING * size.samplesMax)));
  const packs = new RangePacks(ranges, size, keysOf(heads[0]!, deps));
  const isRead = await readAll(heads, deps, signal, (segment) => packs.add(segment));
  if (!isRead) return 'given up';
  const parts = packs.finish();
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

/** Whether one pack of `heads` would have few samples of each series; undefined: one is gone. */
export async function hasManySeries(
  heads: readonly SegmentHead[],
  { samplesMax, samplesPerSeriesMin }: { samplesMax: number; samplesPerSeriesMin: number },
  deps: SeriesPackingDeps,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const segmentsMax = Math.max(GLANCE_SEGMENTS_MIN, Math.ceil(GLANCE_SHARE * heads.length));
  const census = await takeCensus(heads, segmentsMax, deps, signal);
  return census && census.series * samplesPerSeriesMin > samplesMax;
}

/** Counts samples by series in up to `segmentsMax` of the segments; undefined: one is gone. */
async function takeCensus(
  heads: readonly SegmentHead[],
  segmentsMax: number,
  deps: SeriesPackingDeps,
  signal: AbortSignal,
): Promise<SeriesCensus | undefined> {
  const census = new SeriesCensus();
  const some = heads.length <= segmentsMax ? heads : spreadOver(heads, segmentsMax);
  const isRead = await readAll(some, deps, signal, (segment) => census.add(segment));
  return isRead ? census : undefined;
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

/** Only a row that was read is known to be what was written, its epoch included. */
function keysOf(
  { epoch }: SegmentHead,
  { buffer, targets }: SeriesPackingDeps,
): (id: number) => number {
  return targets.keysOf(buffer.dictionaryOfEpoch(epoch).epoch);
}

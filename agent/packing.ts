import { PACK_SAMPLES_MAX } from '../proto/pack.ts';
import type { PackLimits } from './buffer/pack-selection.ts';
import { placeOf } from './buffer/packs.ts';
import type { SegmentHead } from './buffer/segment-table.ts';
import { PackMaker } from './encode/pack-maker.ts';
import type { PackSize } from './encode/series-packs.ts';
import {
  countSeries,
  type Packed,
  packBySeries,
  type SeriesPackingDeps,
} from './packing-by-series.ts';

export interface PackingOptions extends PackSize {
  /**
   * With fewer samples of each series a pack is mostly the first ones of them, which are dear. Then
   * more segments become several packs at once, each of which has other series.
   */
  samplesPerSeriesMin: number;
  /** Of what becomes several packs at once; what is in them goes in one transaction. */
  severalSamplesMax: number;
  severalSegmentsMax: number;
  /** What was stored later may soon be sent as it is. */
  ageMinMs: number;
  /** How often to look for work when there was none. */
  checkEveryMs: number;
}

/**
 * As the agent packs. Samples that do not compress make 4 MB of half a million; a link of 64 kbit/s
 * carries about as much as this in half of the time that a request may take.
 */
export const PACKING: PackingOptions = {
  samplesMax: PACK_SAMPLES_MAX,
  bytesMax: 256 * 1024,
  samplesPerSeriesMin: 20,
  severalSamplesMax: 8 * PACK_SAMPLES_MAX,
  severalSegmentsMax: 8000,
  ageMinMs: 30_000,
  checkEveryMs: 1000,
};

/** Where series are many a backlog grows for minutes, and a look at it takes tens of milliseconds. */
const LOOKS_LEFT_OUT = 9;
/** What cannot be stored is tried ever more rarely: coding it only to find the disk full is dear. */
const DOUBLINGS_MAX = 6;

export interface PackingDeps extends SeriesPackingDeps {
  /** Segments of a tenant with lower ids are a backlog for sure, see PackLimits. */
  backlogEnd(tenant: string): number;
  /** A pack has taken the place of segments. */
  onPacked(): void;
}

/**
 * Turns a backlog into packs, which are a tenth as large on disk and need no coding when the link is
 * back. It works between commits: after each section and each pack it lets appends have their turn.
 * A crash at any point leaves the segments or the pack: they change places in one transaction.
 */
export async function packBacklog(
  options: PackingOptions,
  deps: PackingDeps,
  signal: AbortSignal,
): Promise<void> {
  const { buffer, clock, onPacked } = deps;
  const { checkEveryMs } = options;
  /** By tenant: looks to leave out. */
  const rests = new Map<string, number>();
  let failures = 0;
  for (let waitMs = checkEveryMs; ; ) {
    await clock.sleep(waitMs, signal);
    const made = { stored: 0, failed: 0, 'given up': 0, 'too few': 0 };
    for (const tenant of buffer.backlog.keys()) {
      if (signal.aborted) return;
      const rest = rests.get(tenant) ?? 0;
      rests.set(tenant, Math.max(0, rest - 1));
      const packed = rest > 0 ? 'nothing' : await packTenant(tenant, options, deps, signal);
      if (packed === 'nothing') continue;
      made[packed]++;
      if (packed === 'too few') rests.set(tenant, LOOKS_LEFT_OUT);
      if (packed === 'stored') onPacked();
      await clock.sleep(0, signal);
    }
    if (signal.aborted) return;
    failures = made.stored === 0 && made.failed > 0 ? failures + 1 : 0;
    waitMs = made.stored > 0 ? 0 : checkEveryMs * 2 ** Math.min(failures, DOUBLINGS_MAX);
  }
}

/** Packs the oldest segments of a tenant that should be packed now. */
async function packTenant(
  tenant: string,
  options: PackingOptions,
  deps: PackingDeps,
  signal: AbortSignal,
): Promise<Packed | 'too few' | 'nothing'> {
  const { samplesMax, samplesPerSeriesMin, severalSamplesMax, severalSegmentsMax } = options;
  const heads = packable(tenant, { samplesMax }, options, deps);
  if (heads.length === 0) return 'nothing';
  const series = await countSeries(heads, deps, signal);
  if (series === undefined) return 'given up';
  if (series * samplesPerSeriesMin <= samplesMax) return pack(tenant, heads, options, deps, signal);
  const limits = { samplesMax: severalSamplesMax, segmentsMax: severalSegmentsMax };
  const more = packable(tenant, limits, options, deps);
  if (more.length === 0) return 'too few';
  const samples = more.reduce((sum, head) => sum + head.samples, 0);
  if (samples <= samplesMax) return pack(tenant, more, options, deps, signal);
  return packBySeries(more, series, options, deps, signal);
}

function packable(
  tenant: string,
  size: Pick<PackLimits, 'samplesMax' | 'segmentsMax'>,
  { ageMinMs }: PackingOptions,
  { buffer, backlogEnd, clock }: PackingDeps,
): SegmentHead[] {
  const storedBefore = clock.elapsedMs() - ageMinMs;
  return buffer.packable(tenant, { ...size, storedBefore, backlogEnd: backlogEnd(tenant) });
}

/** Makes one pack of the first of `heads`. */
async function pack(
  tenant: string,
  heads: readonly SegmentHead[],
  { bytesMax }: PackingOptions,
  { buffer, targets, clock, log }: PackingDeps,
  signal: AbortSignal,
): Promise<Packed> {
  const segments: SegmentHead[] = [];
  let maker: PackMaker | undefined;
  for (const head of heads) {
    const segment = buffer.readSegment(head);
    // Answered for, evicted or set aside.
    if (segment === undefined) return 'given up';
    // Only a row that was read is known to be what was written, its epoch included.
    maker ??= new PackMaker(targets.keysOf(buffer.dictionaryOfEpoch(segment.epoch).epoch));
    segments.push(head);
    if (!maker.add(segment)) continue;
    if (maker.bytes >= bytesMax) break;
    await clock.sleep(0, signal);
    // The last segments of an epoch that has ended may be gone, and its dictionary with them.
    const isKnown = buffer.dictionaries.some(({ key }) => key === head.epoch);
    if (signal.aborted || !isKnown) return 'given up';
  }
  if (maker === undefined) return 'given up';
  const made = maker.finish();
  if (!buffer.storePack(segments, { ...made, ...placeOf(segments) })) return 'failed';
  buffer.compact();
  const { samples, body } = made;
  log.debug({ tenant, segments: segments.length, samples, bytes: body.length }, 'packed a backlog');
  return 'stored';
}

/**
 * Makes a pack of one segment at once, because it is too large to be sent as it is and only packs
 * can be split. False when it is gone, pinned or cannot be stored.
 */
export function packSegment(
  tenant: string,
  id: number,
  { buffer, targets, log }: Pick<PackingDeps, 'buffer' | 'targets' | 'log'>,
): boolean {
  const head = buffer.segmentHead(tenant, id);
  const segment = head && buffer.readSegment(head);
  if (head === undefined || segment === undefined) return false;
  const maker = new PackMaker(targets.keysOf(buffer.dictionaryOfEpoch(segment.epoch).epoch));
  maker.add(segment);
  const made = maker.finish();
  if (!buffer.storePack([head], { ...made, ...placeOf([head]) })) return false;
  log.info({ tenant, samples: made.samples }, 'made a pack of a segment that is too large to send');
  return true;
}

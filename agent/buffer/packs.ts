import { hex } from './hex.ts';
import type { LostSegment } from './losses.ts';
import type { PackHead, PackPart, PackRow } from './pack-table.ts';
import type { SegmentHead } from './segment-table.ts';

/** What packs in one place of the sample log have in common. */
export type PackPlace = Pick<
  PackRow,
  'id' | 'lastId' | 'firstSample' | 'tenant' | 'epoch' | 'storedAt'
>;

/** What packs take over from the segments in whose place they go; of times what all of them span. */
export function placeOf(
  segments: readonly SegmentHead[],
): PackPlace & Pick<PackRow, 'oldest' | 'newest'> {
  const first = segments[0]!;
  const last = segments.at(-1)!;
  return {
    id: first.id,
    lastId: last.id,
    firstSample: 0,
    tenant: first.tenant,
    epoch: first.epoch,
    storedAt: last.storedAt,
    oldest: segments.reduce((ms, { oldest }) => Math.min(ms, oldest), first.oldest),
    newest: segments.reduce((ms, { newest }) => Math.max(ms, newest), first.newest),
  };
}

/**
 * The rows of `parts`, side by side in a place of the sample log.
 *
 * @param after their positions are those of `run` (in hexadecimal) behind this sequence
 */
export function partRows(
  place: PackPlace,
  parts: readonly PackPart[],
  { run, after }: { run: string; after: number },
): PackRow[] {
  let { firstSample } = place;
  let sequence = after;
  return parts.map((part): PackRow => {
    sequence++;
    const counts = [part.samples];
    const positions = [{ run: BigInt(`0x${run}`), first: sequence, last: sequence, counts }];
    const row = { ...place, ...part, firstSample, positions };
    firstSample += part.samples;
    return row;
  });
}

/** A pack as the accounts of losses name it. */
export function lostPack({
  tenant,
  samples,
  oldest,
  newest,
  positions,
}: Omit<PackHead, 'key' | 'bytes'>): LostSegment {
  const named = positions.map(({ run, first, last }) => ({ run: hex(run), first, last }));
  return { tenant, samples, oldest, newest, positions: named };
}

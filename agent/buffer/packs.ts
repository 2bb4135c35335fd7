import { hex } from './hex.ts';
import type { LostSegment } from './losses.ts';
import type { PackHead, PackPart, PackRow } from './pack-table.ts';

/**
 * The rows that take the place of a pack, one of each of `parts`, side by side in its place of the
 * sample log.
 *
 * @param after their positions are those of `run` (in hexadecimal) behind this sequence
 */
export function partRows(
  pack: Pick<PackRow, 'id' | 'lastId' | 'firstSample' | 'tenant' | 'epoch' | 'storedAt'>,
  parts: readonly PackPart[],
  { run, after }: { run: string; after: number },
): PackRow[] {
  let { firstSample } = pack;
  let sequence = after;
  return parts.map((part): PackRow => {
    sequence++;
    const counts = [part.samples];
    const positions = [{ run: BigInt(`0x${run}`), first: sequence, last: sequence, counts }];
    const row = { ...pack, ...part, firstSample, positions };
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

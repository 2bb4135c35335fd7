import { hex } from './hex.ts';
import type { LostSegment } from './losses.ts';
import type { PackHead, PackPart, PackRow } from './pack-table.ts';

/**
 * The rows that a pack is split into, one of each of `parts`, in its place in the sample log.
 *
 * @param after their positions are those of `run` (in hexadecimal) behind this sequence
 */
export function splitRows(
  pack: PackHead,
  parts: readonly PackPart[],
  { run, after }: { run: string; after: number },
): PackRow[] {
  const { id, lastId } = pack;
  const idsEach = Math.floor((lastId - id + 1) / parts.length);
  return parts.map((part, index): PackRow => {
    const sequence = after + 1 + index;
    const first = id + index * idsEach;
    const isLast = index === parts.length - 1;
    const counts = [part.samples];
    return {
      ...pack,
      ...part,
      id: first,
      lastId: isLast ? lastId : first + idsEach - 1,
      positions: [{ run: BigInt(`0x${run}`), first: sequence, last: sequence, counts }],
    };
  });
}

/** A pack as the accounts of losses name it. */
export function lostPack({ tenant, samples, oldest, newest, positions }: PackHead): LostSegment {
  const named = positions.map(({ run, first, last }) => ({ run: hex(run), first, last }));
  return { tenant, samples, oldest, newest, positions: named };
}

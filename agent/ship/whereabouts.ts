import type { Answer, TenantState } from '../../proto/answer.ts';

/** What became of a batch at the hub; undefined: the hub no longer knows its stream. */
export type Whereabouts = Answer | 'not there' | 'being written' | undefined;

/** Finds a batch in what the hub says of its tenant. */
export type Find = (state: TenantState, batch: { stream: bigint; sequence: number }) => Whereabouts;

/** A live stream has one batch under way. */
export const findLive: Find = (state, { stream, sequence }) => {
  if (state.stream !== stream) return undefined;
  if (state.nextSequence === sequence) return 'not there';
  if (state.nextSequence !== sequence + 1) return undefined;
  return state.lastAnswer ?? 'being written';
};

/**
 * One of several packs under way, the first of which is `firstUnderWay`.
 *
 * A row that the hub does not know may never have arrived, or the hub was killed while it wrote: the
 * same bytes would claim that nothing was written before. And one that waits for a pack which was
 * answered for, as when a late copy of the first one has opened it anew, would wait for ever.
 */
export function findPack(
  { packs }: TenantState,
  { stream, sequence }: { stream: bigint; sequence: number },
  firstUnderWay: number,
): Whereabouts {
  if (packs?.stream !== stream || packs.nextSequence < firstUnderWay) return undefined;
  if (packs.nextSequence <= sequence) return 'not there';
  return packs.answers.find((pack) => pack.sequence === sequence)?.answer ?? 'being written';
}

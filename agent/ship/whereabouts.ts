import type { Answer, RowState } from '../../proto/answer.ts';

/**
 * What became of a batch at the hub; undefined: the hub no longer knows its row. `early`: the hub has
 * not taken in what comes before, and would not take this one in either.
 */
export type Whereabouts = Answer | 'not there' | 'early' | 'being written' | undefined;

/**
 * Finds one of several batches under way in what the hub says of their row, a live stream or packs;
 * the first of them is `firstUnderWay`.
 *
 * A row that the hub does not know may never have arrived, or the hub was killed while it wrote: the
 * same bytes would claim that nothing was written before. And one that waits for a batch which was
 * answered for, as when a late copy of the first one has opened it anew, would wait for ever.
 */
export function findBatch(
  row: RowState | undefined,
  { stream, sequence }: { stream: bigint; sequence: number },
  firstUnderWay: number,
): Whereabouts {
  if (row?.stream !== stream || row.nextSequence < firstUnderWay) return undefined;
  if (row.nextSequence < sequence) return 'early';
  if (row.nextSequence === sequence) return 'not there';
  return row.answers.find((one) => one.sequence === sequence)?.answer ?? 'being written';
}

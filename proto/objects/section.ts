// What of a samples section is no float, in front of the range-coded floats:
//
//     flags          byte: 1 histograms, 2 start timestamps, 4 exemplars; 0: only floats follow
//     length         varint, absent when flags are 0: bytes of the parts below
//     exemplars      varint count, each: zigzag id - id before, zigzag timestamp, varint bytes, bytes
//     histograms     varint series, each: varint id - id before, varint 2 · histograms + is listed;
//                    where listed: varint row - row before, for each; then for each histogram:
//                    varint 0 (layout as before) or layout bytes + 1, layout;
//                    varint 2 · bytes + is difference, counts or their difference (counts.ts)
//     starts         varint changes, each: varint id - id before, varint row, zigzag start timestamp
//
// A row is counted among those of its series in the section, floats and histograms, from 0. Where
// rows are not listed, all of the series' are histograms. Ids ascend; of the first one, as of the
// first row, the difference is to 0. Each end of a stream remembers layout, counts and start timestamp
// of each series (series-memory.ts), so that these cost little while they stay about as they are.

export const HISTOGRAMS = 1;
export const STARTS = 2;
export const EXEMPLARS = 4;

/** Rows by series, of the series that are looked for, in their order. */
export type RowsOfSeries = Map<number, number[]>;

/** Finds the rows in [from, to) of the series that `found` has keys for. */
export function findRows(ids: Uint32Array, from: number, to: number, found: RowsOfSeries): void {
  for (let row = from; row < to; row++) found.get(ids[row]!)?.push(row);
}

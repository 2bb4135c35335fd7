import type { SampleColumns } from '../sample-columns.ts';
import type { GroupFinder } from './group-finder.ts';
import type { SeriesNumbers } from './series-numbers.ts';
import { grown } from './typed-arrays.ts';

const ROWS_MIN = 1024;
const BLOCKS_MIN = 64;
const GROUPS_MIN = 64;
/** How many blocks of its group a row may be compared with before it begins another. */
const BLOCKS_TRIED_MAX = 32;
const NONE = -1;

/**
 * Cuts the rows of a batch into blocks: one group at one timestamp, each series once. A row only
 * ever joins a block behind that of its series' row before, so the order of a series is kept.
 *
 * Blocks are numbered by their first rows; the rows of each hang together by `nextRows`.
 */
export class BlockCutter {
  readonly #series: SeriesNumbers;
  readonly #groups: GroupFinder;
  count = 0;
  groups = new Int32Array(BLOCKS_MIN);
  timestamps = new Float64Array(BLOCKS_MIN);
  firstRows = new Int32Array(BLOCKS_MIN);
  #lastRows = new Int32Array(BLOCKS_MIN);
  /** The group's block behind this one. */
  #nextBlocks = new Int32Array(BLOCKS_MIN);
  nextRows = new Int32Array(ROWS_MIN);
  /** Series number of each row. */
  rowSeries = new Int32Array(ROWS_MIN);
  /** Block of the series' last row in this batch, by series. */
  #seriesBlocks = new Int32Array(ROWS_MIN).fill(NONE);
  /** First and newest block of the group in this batch, by group. */
  #firstBlocks = new Int32Array(GROUPS_MIN).fill(NONE);
  #newestBlocks = new Int32Array(GROUPS_MIN).fill(NONE);

  constructor(series: SeriesNumbers, groups: GroupFinder) {
    this.#series = series;
    this.#groups = groups;
  }

  cut(columns: SampleColumns): void {
    this.#forget(columns.count);
    this.#groups.beginBatch();
    let series = NONE;
    for (let row = 0; row < columns.count; row++) {
      const timestamp = columns.timestamps[row]!;
      series = this.#seriesOf(columns.ids[row]!, timestamp, series + 1);
      const group = this.#groups.groupOf(series);
      let block = this.#newestBlocks[group]!;
      const fits = block !== NONE && this.timestamps[block] === timestamp;
      if (!fits || this.#seriesBlocks[series] === block) {
        block = this.#blockBehind(series, group, timestamp);
      }
      if (block === NONE) block = this.#begin(group, timestamp, row);
      else this.nextRows[this.#lastRows[block]!] = row;
      this.#lastRows[block] = row;
      this.nextRows[row] = NONE;
      this.rowSeries[row] = series;
      this.#seriesBlocks[series] = block;
    }
  }

  /** @param likely the series that has followed so far: scrapes keep their order */
  #seriesOf(id: number, timestamp: number, likely: number): number {
    const known = this.#series;
    if (likely < known.count && known.ids[likely] === id) return likely;
    const found = known.find(id);
    if (found >= 0) return found;
    const series = known.add(id);
    const group = this.#groups.place(series, id, timestamp);
    if (series === this.#seriesBlocks.length) {
      this.#seriesBlocks = grown(this.#seriesBlocks, new Int32Array(series * 2).fill(NONE));
    }
    if (group === this.#newestBlocks.length) {
      this.#firstBlocks = grown(this.#firstBlocks, new Int32Array(group * 2).fill(NONE));
      this.#newestBlocks = grown(this.#newestBlocks, new Int32Array(group * 2).fill(NONE));
    }
    return series;
  }

  /** A block of the group at that time, behind the one that the series had last. */
  #blockBehind(series: number, group: number, timestamp: number): number {
    const last = this.#seriesBlocks[series]!;
    let block = last === NONE ? this.#firstBlocks[group]! : this.#nextBlocks[last]!;
    for (let tried = 0; tried < BLOCKS_TRIED_MAX && block !== NONE; tried++) {
      if (this.timestamps[block] === timestamp) return block;
      block = this.#nextBlocks[block]!;
    }
    return NONE;
  }

  #begin(group: number, timestamp: number, row: number): number {
    const block = this.count;
    if (block === this.groups.length) this.#growBlocks(block * 2);
    this.count = block + 1;
    this.groups[block] = group;
    this.timestamps[block] = timestamp;
    this.firstRows[block] = row;
    this.#nextBlocks[block] = NONE;
    if (this.#firstBlocks[group] === NONE) this.#firstBlocks[group] = block;
    else this.#nextBlocks[this.#newestBlocks[group]!] = block;
    this.#newestBlocks[group] = block;
    return block;
  }

  #growBlocks(capacity: number): void {
    this.groups = grown(this.groups, new Int32Array(capacity));
    this.timestamps = grown(this.timestamps, new Float64Array(capacity));
    this.firstRows = grown(this.firstRows, new Int32Array(capacity));
    this.#lastRows = grown(this.#lastRows, new Int32Array(capacity));
    this.#nextBlocks = grown(this.#nextBlocks, new Int32Array(capacity));
  }

  /** Forgets the batch before and makes room for `rows`. */
  #forget(rows: number): void {
    this.#seriesBlocks.fill(NONE, 0, this.#series.count);
    for (let block = 0; block < this.count; block++) {
      this.#firstBlocks[this.groups[block]!] = NONE;
      this.#newestBlocks[this.groups[block]!] = NONE;
    }
    this.count = 0;
    if (rows <= this.nextRows.length) return;
    this.nextRows = new Int32Array(Math.max(rows, this.nextRows.length * 2));
    this.rowSeries = new Int32Array(this.nextRows.length);
  }
}

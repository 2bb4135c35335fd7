import { GroupTable } from './group-table.ts';
import { SeriesState } from './series-state.ts';
import { Uint32List } from './typed-arrays.ts';

/**
 * What a batch has overwritten in a decoder's state, in the order of the writes, so that a batch
 * which fails half-way leaves no trace. Room is kept for the largest batch, not for the stream.
 */
export class UndoLog {
  readonly #state: SeriesState;
  readonly #groups: GroupTable;
  /** Three elements each: series, block, recent. */
  readonly #touched = new Uint32List();
  readonly #changed = new Uint32List();
  readonly #changedRows = new SeriesState();
  readonly #heads = new Uint32List();
  readonly #memberCounts = new Uint32List();
  readonly #groupRows = new GroupTable();

  constructor(state: SeriesState, groups: GroupTable) {
    this.#state = state;
    this.#groups = groups;
  }

  clear(): void {
    this.#touched.clear();
    this.#changed.clear();
    this.#heads.clear();
    this.#memberCounts.clear();
  }

  /** Before a sample or a miss of the series. */
  saveTouched(series: number): void {
    const { lastBlocks, recents } = this.#state;
    this.#touched.push3(series, lastBlocks[series]!, recents[series]!);
  }

  /** Before a change of the series' value. */
  saveChanged(series: number): void {
    const row = this.#changed.length;
    this.#changed.push(series);
    this.#changedRows.reserveChanged(row + 1);
    this.#changedRows.copyChanged(this.#state, series, row);
  }

  /** Before a block changes a group there is. */
  saveGroup(group: number): void {
    const row = this.#heads.length;
    this.#heads.push(group);
    this.#memberCounts.push(this.#groups.members(group).length);
    this.#groupRows.reserve(row + 1);
    this.#groupRows.copyRow(this.#groups, group, row);
  }

  /** Puts back what was saved, newest first. */
  undo(): void {
    const touched = this.#touched.values;
    const { lastBlocks, recents } = this.#state;
    for (let at = this.#touched.length - 3; at >= 0; at -= 3) {
      lastBlocks[touched[at]!] = touched[at + 1]!;
      recents[touched[at]!] = touched[at + 2]!;
    }
    for (let row = this.#changed.length - 1; row >= 0; row--) {
      this.#state.copyChanged(this.#changedRows, row, this.#changed.values[row]!);
    }
    for (let row = this.#heads.length - 1; row >= 0; row--) {
      const group = this.#heads.values[row]!;
      this.#groups.copyRow(this.#groupRows, row, group);
      this.#groups.members(group).length = this.#memberCounts.values[row]!;
    }
    this.clear();
  }
}

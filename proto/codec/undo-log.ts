import { GroupTable } from './group-table.ts';
import { SeriesState } from './series-state.ts';
import { Uint32List } from './typed-arrays.ts';

/**
 * What a batch has overwritten in a decoder's state, so that a batch which fails half-way leaves no
 * trace. It is logged in the order of the writes: room is kept for the largest batch, not for the
 * stream. Only the two columns that every sample writes are copied whole, 8 bytes a series, which
 * costs less than logging them sample by sample.
 */
export class UndoLog {
  readonly #state: SeriesState;
  readonly #groups: GroupTable;
  readonly #lastBlocks = new Uint32List();
  readonly #recents = new Uint32List();
  readonly #changed = new Uint32List();
  readonly #changedRows = new SeriesState();
  readonly #heads = new Uint32List();
  readonly #memberCounts = new Uint32List();
  readonly #groupRows = new GroupTable();

  constructor(state: SeriesState, groups: GroupTable) {
    this.#state = state;
    this.#groups = groups;
  }

  /** From now on the state can be put back to what it is now. */
  begin(): void {
    const { count, lastBlocks, recents } = this.#state;
    this.#lastBlocks.copy(lastBlocks, count);
    this.#recents.copy(recents, count);
    this.#changed.clear();
    this.#heads.clear();
    this.#memberCounts.clear();
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
    this.#state.lastBlocks.set(this.#lastBlocks.elements());
    this.#state.recents.set(this.#recents.elements());
    for (let row = this.#changed.length - 1; row >= 0; row--) {
      this.#state.copyChanged(this.#changedRows, row, this.#changed.values[row]!);
    }
    for (let row = this.#heads.length - 1; row >= 0; row--) {
      const group = this.#heads.values[row]!;
      this.#groups.copyRow(this.#groupRows, row, group);
      this.#groups.members(group).length = this.#memberCounts.values[row]!;
    }
  }
}

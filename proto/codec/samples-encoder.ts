import { assert } from '../../base/assert.ts';
import type { SampleColumns } from '../sample-columns.ts';
import { BlockCutter } from './block-cutter.ts';
import { BlockHead, isListed } from './block-head.ts';
import { createProbabilities } from './contexts.ts';
import { GroupFinder } from './group-finder.ts';
import { GroupTable } from './group-table.ts';
import { NumberFit } from './number-fit.ts';
import { NO_MODE } from './number-modes.ts';
import { RangeEncoder } from './range-encoder.ts';
import { SampleModel } from './sample-model.ts';
import { NUMBER_MODE, TRAITS } from './series-columns.ts';
import { SeriesNumbers } from './series-numbers.ts';
import { SeriesState } from './series-state.ts';
import { grown, Uint32List } from './typed-arrays.ts';

/**
 * Encodes the samples of one stream, batch by batch; a new stream needs a new encoder. Its other
 * end is SamplesDecoder; docs/wire-samples.md specifies the bytes.
 *
 * The order of each series' samples is kept, the order between series is not.
 */
export class SamplesEncoder {
  readonly #coder: RangeEncoder;
  readonly #model: SampleModel;
  readonly #head: BlockHead;
  readonly #cutter: BlockCutter;
  readonly #series = new SeriesNumbers();
  readonly #state = new SeriesState();
  readonly #groups = new GroupTable();
  readonly #fit = new NumberFit();
  /** Position in its group + 1, by series; 0 until the block that makes it a member. */
  #places = new Uint32Array(64);
  /** Row + 1 in the block being encoded, by member position; 0: no sample. */
  #rowsAt = new Uint32Array(64);
  readonly #newRows = new Uint32List();
  #blocks = 0;

  /** @param groupKeyOf job and instance of the series `id` as a number; asked once for each */
  constructor(groupKeyOf: (id: number) => number) {
    this.#coder = new RangeEncoder(createProbabilities());
    this.#model = new SampleModel(this.#coder, this.#state);
    this.#head = new BlockHead(this.#coder, this.#groups);
    this.#cutter = new BlockCutter(this.#series, new GroupFinder(groupKeyOf));
  }

  /**
   * The next section of the stream.
   *
   * @param columns timestamps whole and within ±2^53 ms
   */
  encode(columns: SampleColumns): Uint8Array {
    this.#coder.begin();
    this.#cutter.cut(columns);
    this.#makeRoom();
    for (let block = 0; block < this.#cutter.count; block++) this.#encodeBlock(block, columns);
    return this.#coder.finish();
  }

  #makeRoom(): void {
    const { count } = this.#series;
    while (this.#state.count < count) this.#state.add();
    if (count <= this.#places.length) return;
    const capacity = Math.max(count, this.#places.length * 2);
    this.#places = grown(this.#places, new Uint32Array(capacity));
    this.#rowsAt = new Uint32Array(capacity);
  }

  #encodeBlock(block: number, columns: SampleColumns): void {
    const head = this.#head;
    const group = this.#cutter.groups[block]!;
    const timestamp = this.#cutter.timestamps[block]!;
    const members = this.#groups.members(group);
    const number = ++this.#blocks;
    head.clear();
    head.group = group;
    head.timestamp = timestamp;
    const rows = this.#gatherRows(block, columns);
    head.listed = isListed(members.length, rows) ? 1 : 0;
    if (head.listed === 1) head.positions.sort();
    const firstBlock = this.#groups.firstBlockAt(group, timestamp, number);
    if (head.listed === 0) this.#findRuns(members, firstBlock);
    head.code(columns.count);
    this.#groups.learn(group, timestamp, number);
    this.#model.beginBlock();
    if (head.listed === 1) this.#encodeListed(members, columns);
    else this.#encodeMembers(members, firstBlock, columns);
    this.#encodeNew(members, columns);
  }

  /** Puts the block's rows at their members' positions; returns how many there are. */
  #gatherRows(block: number, columns: SampleColumns): number {
    const { nextRows, rowSeries, firstRows } = this.#cutter;
    const { newIds, positions } = this.#head;
    this.#newRows.clear();
    for (let row = firstRows[block]!; row >= 0; row = nextRows[row]!) {
      const place = this.#places[rowSeries[row]!]!;
      if (place === 0) {
        this.#newRows.push(row);
        newIds.push(columns.ids[row]!);
      } else {
        this.#rowsAt[place - 1] = row + 1;
        positions.push(place - 1);
      }
    }
    return positions.length;
  }

  #findRuns(members: Uint32List, firstBlock: number): void {
    const { runs } = this.#head;
    let isInRun = false;
    for (let position = 0; position < members.length; position++) {
      const isPresent = this.#rowsAt[position] !== 0;
      const isOdd = isPresent !== this.#state.isExpected(members.values[position]!, firstBlock);
      if (isOdd !== isInRun) runs.push(position);
      isInRun = isOdd;
    }
    if (isInRun) runs.push(members.length);
  }

  #encodeMembers(members: Uint32List, firstBlock: number, columns: SampleColumns): void {
    for (let position = 0; position < members.length; position++) {
      const series = members.values[position]!;
      const row = this.#rowsAt[position]!;
      if (row !== 0) {
        this.#rowsAt[position] = 0;
        this.#encodeSample(series, columns, row - 1);
      } else if (this.#state.isExpected(series, firstBlock)) {
        this.#state.miss(series);
      }
    }
  }

  #encodeListed(members: Uint32List, columns: SampleColumns): void {
    const { positions } = this.#head;
    for (let index = 0; index < positions.length; index++) {
      const position = positions.values[index]!;
      const row = this.#rowsAt[position]! - 1;
      this.#rowsAt[position] = 0;
      this.#encodeSample(members.values[position]!, columns, row);
    }
  }

  #encodeNew(members: Uint32List, columns: SampleColumns): void {
    for (let index = 0; index < this.#newRows.length; index++) {
      const row = this.#newRows.values[index]!;
      const series = this.#cutter.rowSeries[row]!;
      members.push(series);
      this.#places[series] = members.length;
      this.#encodeSample(series, columns, row);
    }
  }

  #encodeSample(series: number, columns: SampleColumns, row: number): void {
    const state = this.#state;
    const low = columns.valueBits[row * 2]!;
    const high = columns.valueBits[row * 2 + 1]!;
    const mode = state.traits[series * TRAITS + NUMBER_MODE]!;
    const isEqual = state.bits[series * 2] === low && state.bits[series * 2 + 1] === high;
    const wanted = isEqual && mode !== NO_MODE ? 0 : 1;
    if (this.#model.codeChanged(series, this.#blocks, wanted) === 0) return;
    this.#fit.choose(low, high, state.values[series]!, mode);
    this.#model.codeValue(series, this.#fit);
    // The decoder has only what the model made of the value: a model that is wrong stops here.
    assert(
      state.bits[series * 2] === low && state.bits[series * 2 + 1] === high,
      'the sample model does not give a value back',
    );
  }
}

import { DecodeError } from '../bytes.ts';
import type { SampleColumns } from '../sample-columns.ts';
import { BlockHead, isListed } from './block-head.ts';
import { createProbabilities } from './contexts.ts';
import { GroupTable } from './group-table.ts';
import { NumberFit } from './number-fit.ts';
import { RangeDecoder } from './range-decoder.ts';
import { SampleModel } from './sample-model.ts';
import { SeriesNumbers } from './series-numbers.ts';
import { SeriesState } from './series-state.ts';
import type { Uint32List } from './typed-arrays.ts';
import { UndoLog } from './undo-log.ts';

/** The decoder's coder ignores what the model is asked to write. */
const NOTHING_WANTED = new NumberFit();

/** Decodes the sections that a SamplesEncoder wrote, each once and in order. */
export class SamplesDecoder {
  readonly #idsMax: number;
  readonly #probabilities = createProbabilities();
  readonly #probabilitiesBefore = createProbabilities();
  readonly #coder = new RangeDecoder(this.#probabilities);
  readonly #series = new SeriesNumbers();
  readonly #state = new SeriesState();
  readonly #groups = new GroupTable();
  readonly #model = new SampleModel(this.#coder, this.#state);
  readonly #head = new BlockHead(this.#coder, this.#groups);
  readonly #undo = new UndoLog(this.#state, this.#groups);
  #blocks = 0;

  /** @param idsMax ids are below; also the most series that the stream may hold */
  constructor({ idsMax }: { idsMax: number }) {
    this.#idsMax = idsMax;
  }

  /**
   * Appends the `count` samples of the stream's next section to `into`. The work is bounded by
   * `count`, which the caller has checked against its limit.
   *
   * @param complete called at the end; what it throws takes everything back as an error here does
   * @throws DecodeError, with the state of the stream and `into` as they were
   */
  decode(
    section: Uint8Array,
    count: number,
    into: SampleColumns,
    complete: () => void = () => {},
  ): void {
    const seriesCount = this.#series.count;
    const groupCount = this.#groups.count;
    const { last } = this.#groups;
    const { lastNewId } = this.#head;
    const blocks = this.#blocks;
    const rows = into.count;
    this.#probabilitiesBefore.set(this.#probabilities);
    this.#undo.begin();
    into.reserve(rows + count);
    try {
      this.#coder.begin(section);
      while (into.count < rows + count) this.#decodeBlock(rows + count - into.count, into);
      this.#coder.finish();
      complete();
    } catch (error) {
      this.#undo.undo();
      this.#probabilities.set(this.#probabilitiesBefore);
      this.#series.truncate(seriesCount);
      this.#state.count = seriesCount;
      this.#groups.truncate(groupCount);
      this.#groups.last = last;
      this.#head.lastNewId = lastNewId;
      this.#model.forgetBlocks();
      this.#blocks = blocks;
      into.truncate(rows);
      throw error;
    }
  }

  #decodeBlock(rowsMax: number, into: SampleColumns): void {
    const head = this.#head;
    const groups = this.#groups;
    const rowsEnd = into.count + rowsMax;
    const number = ++this.#blocks;
    head.clear();
    head.code(rowsMax);
    const { group, timestamp } = head;
    if (groups.last >= 0) this.#undo.saveGroup(groups.last);
    if (group < groups.count) this.#undo.saveGroup(group);
    const firstBlock = groups.firstBlockAt(group, timestamp, number);
    groups.learn(group, timestamp, number);
    const members = groups.members(group);
    const rows = into.count;
    this.#model.beginBlock();
    if (members.length > 0) {
      if (head.listed === 1) this.#decodeListed(members, into);
      else this.#decodeMembers(members, firstBlock, rowsEnd, into);
      if ((head.listed === 1) !== isListed(members.length, into.count - rows)) {
        throw new DecodeError('samples: a block with its rows in the wrong form');
      }
    }
    if (into.count + head.newIds.length > rowsEnd) throw new DecodeError('samples: too many');
    this.#decodeNew(members, into);
    // Such blocks would cost nearly no bits: a short section could keep the decoder busy for ever.
    if (into.count === rows) throw new DecodeError('samples: a block of no samples');
    this.#finishRows(rows, into);
  }

  #decodeMembers(
    members: Uint32List,
    firstBlock: number,
    rowsEnd: number,
    into: SampleColumns,
  ): void {
    const { runs } = this.#head;
    const state = this.#state;
    let run = 0;
    let isOdd = false;
    let bound = runs.length > 0 ? runs.values[0]! : members.length;
    for (let position = 0; position < members.length; position++) {
      const series = members.values[position]!;
      while (position >= bound) {
        isOdd = !isOdd;
        run++;
        bound = run < runs.length ? runs.values[run]! : members.length;
      }
      const expected = state.isExpected(series, firstBlock);
      if (expected !== isOdd) {
        if (into.count === rowsEnd) throw new DecodeError('samples: too many');
        this.#decodeSample(series, into);
      } else if (expected) {
        state.miss(series);
      }
    }
  }

  #decodeListed(members: Uint32List, into: SampleColumns): void {
    const { positions } = this.#head;
    for (let index = 0; index < positions.length; index++) {
      this.#decodeSample(members.values[positions.values[index]!]!, into);
    }
  }

  #decodeNew(members: Uint32List, into: SampleColumns): void {
    const { newIds } = this.#head;
    for (let index = 0; index < newIds.length; index++) {
      const id = newIds.values[index]!;
      if (id >= this.#idsMax) throw new DecodeError(`samples: series id ${id} is unknown`);
      if (this.#series.find(id) >= 0) throw new DecodeError(`samples: series id ${id} twice`);
      this.#series.add(id);
      const series = this.#state.add();
      members.push(series);
      this.#decodeSample(series, into);
    }
  }

  #decodeSample(series: number, into: SampleColumns): void {
    if (this.#model.codeChanged(series, this.#blocks, 0) === 1) {
      this.#undo.saveChanged(series);
      this.#model.codeValue(series, NOTHING_WANTED);
    }
    // Not `into.push`: room is there, and #finishRows does the rest.
    into.ids[into.count++] = series;
  }

  /**
   * Completes the rows of a block, which so far have the series' number in the place of its id: a
   * series has one sample in a block, so its value is still there. A loop of its own keeps the
   * columns in registers.
   */
  #finishRows(from: number, { ids, timestamps, valueBits, count }: SampleColumns): void {
    const { bits } = this.#state;
    const seriesIds = this.#series.ids;
    timestamps.fill(this.#head.timestamp, from, count);
    for (let row = from; row < count; row++) {
      const series = ids[row]!;
      ids[row] = seriesIds[series]!;
      valueBits[row * 2] = bits[series * 2]!;
      valueBits[row * 2 + 1] = bits[series * 2 + 1]!;
    }
  }
}

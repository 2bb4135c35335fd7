import { DecodeError } from '../bytes.ts';
import { type BitCoder, codeTree } from './bit-coder.ts';
import {
  GROUP,
  GROUP_FOLLOWS,
  ID_FOLLOWS,
  LISTED,
  NEW_ID,
  NEW_SERIES,
  ROW_GAP,
  ROWS,
  RUN_GAP,
  RUN_LENGTH,
  RUNS,
  TIMESTAMP,
} from './contexts.ts';
import type { GroupTable } from './group-table.ts';
import {
  bitLength,
  codeEvenBits,
  codeNatural,
  codeNaturalOf,
  unzigzag,
  zigzag,
} from './integers.ts';
import { Uint32List } from './typed-arrays.ts';

const TIMESTAMP_MAX = 2 ** 53;
/** A difference of this many bits and more would not be exact: the timestamp stands itself. */
const ABSOLUTE_LENGTH = 54;
const ID_END = 2 ** 32;
/** A walk over more members than this for each row is not worth it; then rows are listed. */
const MEMBERS_PER_ROW_MAX = 16;

/**
 * Whether a block with `rows` of its group's `members` lists them rather than have every member
 * looked at. It bounds the work for a sample at both ends.
 */
export function isListed(members: number, rows: number): boolean {
  return members > rows * MEMBERS_PER_ROW_MAX;
}

/**
 * What a block says before its samples: its group, its timestamp, which members have a sample in
 * it, and which series are new. The encoder fills it in, the decoder reads it off; `code` turns
 * the one into the other.
 */
export class BlockHead {
  group = 0;
  timestamp = 0;
  /** 1 when `positions` counts, 0 when `runs` does. */
  listed = 0;
  /** Pairs [from, to) of member positions that are not as expected, ascending. */
  readonly runs = new Uint32List();
  /** Member positions that have a sample, ascending. */
  readonly positions = new Uint32List();
  /** Dictionary ids of new members; each has a sample. */
  readonly newIds = new Uint32List();
  readonly #coder: BitCoder;
  readonly #groups: GroupTable;
  /** The last id that was new to the stream. */
  lastNewId = 0;

  constructor(coder: BitCoder, groups: GroupTable) {
    this.#coder = coder;
    this.#groups = groups;
  }

  clear(): void {
    this.runs.clear();
    this.positions.clear();
    this.newIds.clear();
  }

  /**
   * @param rowsMax how many samples the block may have; only a decoder needs it
   * @throws DecodeError where no encoder can have written it
   */
  code(rowsMax: number): void {
    const coder = this.#coder;
    this.#codeGroup();
    this.#codeTimestamp();
    const groups = this.#groups;
    const isNew = this.group === groups.count;
    const members = isNew ? 0 : groups.members(this.group).length;
    if (members > 0) {
      this.listed = coder.bit(LISTED, this.listed);
      if (this.listed === 1) this.#codePositions(members, rowsMax);
      else this.#codeRuns(members);
    }
    this.#codeNewIds(rowsMax);
    if (isNew && this.newIds.length === 0) throw new DecodeError('samples: a group of no series');
  }

  #codeGroup(): void {
    const likely = this.#groups.likelyNext();
    if (this.#coder.bit(GROUP_FOLLOWS, this.group === likely ? 1 : 0) === 1) {
      this.group = likely;
    } else {
      this.group = codeNatural(this.#coder, GROUP, this.group);
      if (this.group > this.#groups.count) throw new DecodeError(`samples: group ${this.group}`);
    }
  }

  #codeTimestamp(): void {
    const likely = this.#groups.likelyTimestamp(this.group);
    const difference = this.timestamp - likely;
    const isExact = Math.abs(difference) < TIMESTAMP_MAX / 2;
    const wanted = isExact ? zigzag(difference) : 0;
    const wantedLength = isExact ? bitLength(wanted) : ABSOLUTE_LENGTH;
    const length = codeTree(this.#coder, TIMESTAMP, 6, wantedLength);
    if (length < ABSOLUTE_LENGTH) {
      this.timestamp = likely + unzigzag(codeNaturalOf(this.#coder, length, wanted));
    } else {
      const negative = this.#coder.evenBits(1, this.timestamp < 0 ? 1 : 0);
      const magnitude = codeEvenBits(this.#coder, 54, Math.abs(this.timestamp));
      this.timestamp = negative === 1 ? 0 - magnitude : magnitude;
    }
    if (length > ABSOLUTE_LENGTH || Math.abs(this.timestamp) > TIMESTAMP_MAX) {
      throw new DecodeError(`samples: a timestamp of ${this.timestamp} ms`);
    }
  }

  #codeRuns(members: number): void {
    const { runs } = this;
    const count = this.#codeCount(RUNS, runs.length / 2, members);
    let end = 0;
    for (let run = 0; run < count; run++) {
      const from = end + codeNatural(this.#coder, RUN_GAP, runs.values[run * 2]! - end);
      const wantedLength = runs.values[run * 2 + 1]! - runs.values[run * 2]!;
      end = from + 1 + codeNatural(this.#coder, RUN_LENGTH, wantedLength - 1);
      if (end > members) throw new DecodeError(`samples: a run up to ${end} of ${members} series`);
      runs.set(run * 2, from);
      runs.set(run * 2 + 1, end);
    }
  }

  #codePositions(members: number, rowsMax: number): void {
    const { positions } = this;
    const count = this.#codeCount(ROWS, positions.length, Math.min(members, rowsMax));
    let next = 0;
    for (let row = 0; row < count; row++) {
      const wanted = positions.values[row]! - next;
      const position = next + codeNatural(this.#coder, ROW_GAP, wanted);
      if (position >= members) throw new DecodeError(`samples: series ${position} of ${members}`);
      positions.set(row, position);
      next = position + 1;
    }
  }

  #codeNewIds(rowsMax: number): void {
    const { newIds } = this;
    const count = this.#codeCount(NEW_SERIES, newIds.length, rowsMax);
    for (let row = 0; row < count; row++) {
      const likely = this.lastNewId + 1;
      let difference = newIds.values[row]! - likely;
      if (this.#coder.bit(ID_FOLLOWS, difference === 0 ? 1 : 0) === 1) difference = 0;
      else difference = unzigzag(codeNatural(this.#coder, NEW_ID, zigzag(difference)));
      const id = likely + difference;
      if (!(id >= 0 && id < ID_END)) throw new DecodeError(`samples: series id ${id}`);
      newIds.set(row, id);
      this.lastNewId = id;
    }
  }

  #codeCount(contexts: number, wanted: number, max: number): number {
    const count = codeNatural(this.#coder, contexts, wanted);
    if (count > max) throw new DecodeError(`samples: ${count} in a block where ${max} may be`);
    return count;
  }
}

import { grown, Uint32List } from './typed-arrays.ts';

const GROUPS_MIN = 16;
const MEMBERS_MIN = 8;
const TIMESTAMP_MAX = 2 ** 53;

/**
 * Series that are sampled together, in the order in which they were first seen; of each group the
 * last timestamp, the interval before it and the group that came next.
 */
export class GroupTable {
  count = 0;
  timestamps = new Float64Array(GROUPS_MIN);
  intervals = new Float64Array(GROUPS_MIN);
  /** The group of the block that followed; -1: none did yet. */
  successors = new Int32Array(GROUPS_MIN);
  /** Number of the first block that has the group's last timestamp. */
  firstBlocks = new Uint32Array(GROUPS_MIN);
  readonly #members: Uint32List[] = [];
  /** Group of the last block of the stream; -1 before the first. */
  last = -1;

  /** Series numbers of the group's members. */
  members(group: number): Uint32List {
    const members = this.#members[group];
    if (members !== undefined) return members;
    const opened = new Uint32List(MEMBERS_MIN);
    this.#members[group] = opened;
    return opened;
  }

  /** The group that the next block should have; `count` stands for a new one. */
  likelyNext(): number {
    const successor = this.last < 0 ? -1 : this.successors[this.last]!;
    return successor < 0 ? this.count : successor;
  }

  /** The timestamp that the group's next block should have. */
  likelyTimestamp(group: number): number {
    if (group === this.count) return this.last < 0 ? 0 : this.timestamps[this.last]!;
    const timestamp = this.timestamps[group]!;
    const next = timestamp + this.intervals[group]!;
    return Math.abs(next) <= TIMESTAMP_MAX ? next : timestamp;
  }

  /** Number of the first block with `timestamp`, when the block `block` of the group has it. */
  firstBlockAt(group: number, timestamp: number, block: number): number {
    const isAgain = group < this.count && this.timestamps[group] === timestamp;
    return isAgain ? this.firstBlocks[group]! : block;
  }

  /** Learns the head of a block, in which `group` may be a new one. */
  learn(group: number, timestamp: number, block: number): void {
    if (group === this.count) {
      this.#open(group, timestamp, block);
    } else if (timestamp !== this.timestamps[group]) {
      this.intervals[group] = timestamp - this.timestamps[group]!;
      this.timestamps[group] = timestamp;
      this.firstBlocks[group] = block;
    }
    if (this.last >= 0) this.successors[this.last] = group;
    this.last = group;
  }

  /** Takes the newest groups back until `count` are left. */
  truncate(count: number): void {
    this.count = count;
    this.#members.length = Math.min(this.#members.length, count);
  }

  /** Row `from` of `other` to row `to`, apart from the members. */
  copyRow(other: GroupTable, from: number, to: number): void {
    this.timestamps[to] = other.timestamps[from]!;
    this.intervals[to] = other.intervals[from]!;
    this.successors[to] = other.successors[from]!;
    this.firstBlocks[to] = other.firstBlocks[from]!;
  }

  reserve(count: number): void {
    if (count <= this.timestamps.length) return;
    const capacity = Math.max(count, this.timestamps.length * 2);
    this.timestamps = grown(this.timestamps, new Float64Array(capacity));
    this.intervals = grown(this.intervals, new Float64Array(capacity));
    this.successors = grown(this.successors, new Int32Array(capacity));
    this.firstBlocks = grown(this.firstBlocks, new Uint32Array(capacity));
  }

  #open(group: number, timestamp: number, block: number): void {
    this.reserve(group + 1);
    this.count = group + 1;
    this.timestamps[group] = timestamp;
    this.intervals[group] = 0;
    this.successors[group] = -1;
    this.firstBlocks[group] = block;
  }
}

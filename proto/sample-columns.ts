import { assert } from '../base/assert.ts';

/**
 * What a row holds that is no float: proto/objects has the form of `bytes`. The row's timestamp is
 * that of the histogram or exemplar; the bits of its value are 0.
 */
export interface RowObject {
  row: number;
  kind: 'histogram' | 'exemplar';
  bytes: Uint8Array;
  /** Of a histogram that a section brought: its layout, which `bytes` do not repeat. */
  layout?: Uint8Array;
}

/** What columns consist of, as it crosses from one thread to another. */
export type ColumnArrays = Pick<
  SampleColumns,
  'ids' | 'timestamps' | 'valueBits' | 'objects' | 'startTimestamps'
>;

/**
 * Samples in columns, in the order in which they arrived: the one shape in which samples travel
 * between rooms, threads and codecs. Rows are added one by one and never removed singly. Native
 * histograms are samples, and exemplars travel as if they were.
 *
 * Values are bits, held as two 32-bit halves: a plain array of doubles, and on some engines a
 * double in a register, turns the stale marker (a signalling NaN) into another NaN.
 */
export class SampleColumns {
  count = 0;
  /** Dictionary id of each sample's series. */
  ids: Uint32Array;
  /** Milliseconds since the Unix epoch, whole, within ±2^53. */
  timestamps: Float64Array;
  /** IEEE 754 bits of each value: low half at 2·row, high half at 2·row + 1. */
  valueBits: Uint32Array;
  /** Of the rows that are no floats, ascending. */
  objects: RowObject[] = [];
  /** When the counter of a row began, in ms, 0: not known, as behind the rows. Undefined: of none. */
  startTimestamps: Float64Array | undefined;

  constructor(capacity = 1024) {
    this.ids = new Uint32Array(capacity);
    this.timestamps = new Float64Array(capacity);
    this.valueBits = new Uint32Array(capacity * 2);
  }

  /** Columns over arrays that came from another thread; all rows are in use. */
  static of({ ids, timestamps, valueBits, objects, startTimestamps }: ColumnArrays): SampleColumns {
    const columns = new SampleColumns(0);
    columns.count = ids.length;
    columns.ids = ids;
    columns.timestamps = timestamps;
    columns.valueBits = valueBits;
    columns.objects = objects;
    columns.startTimestamps = startTimestamps;
    return columns;
  }

  /** Copies of the rows' arrays without the room behind them. */
  arrays(): ColumnArrays {
    const { count, ids, timestamps, valueBits, objects, startTimestamps } = this;
    return {
      ids: ids.slice(0, count),
      timestamps: timestamps.slice(0, count),
      valueBits: valueBits.slice(0, count * 2),
      objects,
      startTimestamps: startTimestamps?.slice(0, count),
    };
  }

  push(id: number, timestamp: number, bitsLow: number, bitsHigh: number): void {
    const row = this.count;
    if (row === this.ids.length) this.reserve(Math.max(16, row * 2));
    this.ids[row] = id;
    this.timestamps[row] = timestamp;
    this.valueBits[row * 2] = bitsLow;
    this.valueBits[row * 2 + 1] = bitsHigh;
    this.count = row + 1;
  }

  /** Adds a row that is no float; it owns `bytes` from now on. */
  pushObject(kind: RowObject['kind'], id: number, timestamp: number, bytes: Uint8Array): void {
    this.objects.push({ row: this.count, kind, bytes });
    this.push(id, timestamp, 0, 0);
  }

  /** Says when the counter of a row there is began, in ms within ±2^53. */
  setStart(row: number, startTimestamp: number): void {
    assert(row < this.count, 'a start timestamp of no row');
    if (startTimestamp === 0 && this.startTimestamps === undefined) return;
    this.startTimestamps ??= new Float64Array(this.ids.length);
    this.startTimestamps[row] = startTimestamp;
  }

  /** When the counter of a row began, in ms; 0: not known. */
  startOf(row: number): number {
    return this.startTimestamps === undefined ? 0 : this.startTimestamps[row]!;
  }

  /** Makes room for `capacity` rows without changing the rows there are. */
  reserve(capacity: number): void {
    if (capacity <= this.ids.length) return;
    const { ids, timestamps, valueBits, startTimestamps } = this;
    this.ids = new Uint32Array(capacity);
    this.ids.set(ids);
    this.timestamps = new Float64Array(capacity);
    this.timestamps.set(timestamps);
    this.valueBits = new Uint32Array(capacity * 2);
    this.valueBits.set(valueBits);
    if (startTimestamps === undefined) return;
    this.startTimestamps = new Float64Array(capacity);
    this.startTimestamps.set(startTimestamps);
  }

  /** Appends rows [from, to) of `other`. */
  appendRows(other: SampleColumns, from = 0, to = other.count): void {
    assert(from >= 0 && from <= to && to <= other.count, 'rows outside the columns');
    const row = this.count;
    const count = row + to - from;
    if (count > this.ids.length) this.reserve(Math.max(count, this.ids.length * 2));
    this.ids.set(other.ids.subarray(from, to), row);
    this.timestamps.set(other.timestamps.subarray(from, to), row);
    this.valueBits.set(other.valueBits.subarray(from * 2, to * 2), row * 2);
    this.count = count;
    this.#appendBeside(other, from, to, row - from);
  }

  /** The rows that are no exemplars; these columns themselves where there are no others. */
  withoutExemplars(): SampleColumns {
    const exemplars = this.objects.filter(({ kind }) => kind === 'exemplar');
    if (exemplars.length === 0) return this;
    const rest = new SampleColumns(this.count);
    let from = 0;
    for (const { row } of exemplars) {
      rest.appendRows(this, from, row);
      from = row + 1;
    }
    rest.appendRows(this, from);
    return rest;
  }

  /** Takes back the rows from `count` on. */
  truncate(count: number): void {
    assert(count <= this.count, 'columns cannot be truncated to more');
    this.count = count;
    this.objects.length = firstObjectFrom(this.objects, count);
    this.startTimestamps?.fill(0, count);
  }

  clear(): void {
    this.count = 0;
    this.objects = [];
    this.startTimestamps = undefined;
  }

  /** What stands beside rows [from, to) of `other`, which became rows that are `shift` higher. */
  #appendBeside(other: SampleColumns, from: number, to: number, shift: number): void {
    const { objects } = other;
    for (let at = firstObjectFrom(objects, from); at < objects.length; at++) {
      const object = objects[at]!;
      if (object.row >= to) break;
      this.objects.push({ ...object, row: object.row + shift });
    }
    if (other.startTimestamps === undefined) return;
    this.startTimestamps ??= new Float64Array(this.ids.length);
    this.startTimestamps.set(other.startTimestamps.subarray(from, to), from + shift);
  }
}

/**
 * Finds the objects of rows: quickly where these ascend, and never by a walk, since the rows of a
 * request jump from each sample to its exemplars, which may all stand at the end.
 */
export class ObjectCursor {
  readonly #objects: readonly RowObject[];
  #next = 0;

  constructor(objects: readonly RowObject[]) {
    this.#objects = objects;
  }

  /** The object of `row`, if it is no float. */
  at(row: number): RowObject | undefined {
    const objects = this.#objects;
    if (!this.#isFirstFrom(this.#next, row)) {
      const isNext = this.#isFirstFrom(this.#next + 1, row);
      this.#next = isNext ? this.#next + 1 : firstObjectFrom(objects, row);
    }
    const object = objects[this.#next];
    return object?.row === row ? object : undefined;
  }

  /** Whether `index` is what firstObjectFrom would find. */
  #isFirstFrom(index: number, row: number): boolean {
    const objects = this.#objects;
    if (index > objects.length) return false;
    const isBehind = index === 0 || objects[index - 1]!.row < row;
    return isBehind && (index === objects.length || objects[index]!.row >= row);
  }
}

/** Index of the first object at `row` or behind it. */
export function firstObjectFrom(objects: readonly RowObject[], row: number): number {
  let from = 0;
  let to = objects.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (objects[middle]!.row < row) from = middle + 1;
    else to = middle;
  }
  return from;
}

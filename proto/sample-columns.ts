import { assert } from '../base/assert.ts';

/**
 * Samples in columns, in the order in which they arrived: the one shape in which samples travel
 * between rooms, threads and codecs. Rows are added one by one and never removed singly.
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

  constructor(capacity = 1024) {
    this.ids = new Uint32Array(capacity);
    this.timestamps = new Float64Array(capacity);
    this.valueBits = new Uint32Array(capacity * 2);
  }

  /** Columns over arrays that came from another thread; all rows are in use. */
  static of(arrays: Pick<SampleColumns, 'ids' | 'timestamps' | 'valueBits'>): SampleColumns {
    const columns = new SampleColumns(0);
    columns.count = arrays.ids.length;
    columns.ids = arrays.ids;
    columns.timestamps = arrays.timestamps;
    columns.valueBits = arrays.valueBits;
    return columns;
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

  /** Makes room for `capacity` rows without changing the rows there are. */
  reserve(capacity: number): void {
    if (capacity <= this.ids.length) return;
    const { ids, timestamps, valueBits } = this;
    this.ids = new Uint32Array(capacity);
    this.ids.set(ids);
    this.timestamps = new Float64Array(capacity);
    this.timestamps.set(timestamps);
    this.valueBits = new Uint32Array(capacity * 2);
    this.valueBits.set(valueBits);
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
  }

  clear(): void {
    this.count = 0;
  }
}

// How entries of a dictionary log cross the border; docs/wire-dictionary.md is the specification.
//
// An entry is a record (record.ts). Records with the same head and names have the same shape, and
// all values under one name, in whatever shape, are a column. Of a record go out: its shape, which
// of its values differ from the last of their column, and for these, how far the value lies from
// the last one in the column's list of values. The end of that list stands for a new value, written
// as what it does not share with the last one. Numbers and texts are kept apart because zstd, which
// comes next, finds more in them so.

/** Bits in one mask: four bytes as a varint, and exact in JavaScript's bitwise operations. */
export const MASK_COLUMNS = 28;

/** The values under one name in the order in which they first came. */
export class Column {
  readonly values: Uint8Array[] = [];
  /** Index of the value that came last. */
  last = -1;

  get lastValue(): Uint8Array | undefined {
    return this.values[this.last];
  }
}

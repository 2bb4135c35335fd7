interface Column extends ArrayLike<number> {
  set(source: ArrayLike<number>): void;
}

/** `next` with the elements of `previous` at its beginning. */
export function grown<T extends Column>(previous: T, next: T): T {
  next.set(previous);
  return next;
}

/** Whole numbers from 0 to 2^32 - 1 in an array that doubles; `clear()` keeps the memory. */
export class Uint32List {
  values: Uint32Array;
  length = 0;

  constructor(capacity = 16) {
    this.values = new Uint32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      this.values = grown(this.values, new Uint32Array(this.length * 2));
    }
    this.values[this.length++] = value;
  }

  /** The first `count` elements of `source` in the place of what there is. */
  copy(source: Uint32Array, count: number): void {
    if (count > this.values.length) this.values = new Uint32Array(source.length);
    this.values.set(source.subarray(0, count));
    this.length = count;
  }

  /** A view of what is there. */
  elements(): Uint32Array {
    return this.values.subarray(0, this.length);
  }

  /** Sets an element there is, or pushes the one behind the last. */
  set(index: number, value: number): void {
    if (index === this.length) this.push(value);
    else this.values[index] = value;
  }

  /** Ascending, if it is not already. */
  sort(): void {
    this.elements().sort();
  }

  clear(): void {
    this.length = 0;
  }
}

import { assert } from '../../base/assert.ts';
import { grown } from './typed-arrays.ts';

const SLOTS_MIN = 128;

/**
 * Numbers the series of a stream from 0 in the order in which they are added. Dictionary ids are
 * sparse in a tenant, so a hash finds the number: memory follows the series there are, not the
 * largest id that somebody names.
 */
export class SeriesNumbers {
  count = 0;
  /** Dictionary id by number. */
  ids = new Uint32Array(SLOTS_MIN / 2);
  /** Number + 1 at the first free place from the id's own; 0: free. */
  #slots = new Uint32Array(SLOTS_MIN);
  #shift = 32 - Math.log2(SLOTS_MIN);

  /** The number of the series, -1 when it has none. */
  find(id: number): number {
    const slots = this.#slots;
    const last = slots.length - 1;
    let slot = Math.imul(id, 0x9e3779b1) >>> this.#shift;
    for (;;) {
      const number = slots[slot]! - 1;
      if (number < 0 || this.ids[number] === id) return number;
      slot = (slot + 1) & last;
    }
  }

  /** Numbers a series that has none. */
  add(id: number): number {
    const number = this.count;
    if (number === this.ids.length) this.#grow();
    this.ids[number] = id;
    this.count = number + 1;
    this.#slots[this.#slotOf(id, 0)] = number + 1;
    return number;
  }

  /**
   * Takes the newest series back until `count` are left. The places are those that the series would
   * have without them, since each growth places the series again in the order of their numbers.
   */
  truncate(count: number): void {
    assert(count <= this.count, 'more series than there are');
    while (this.count > count) {
      const number = --this.count;
      this.#slots[this.#slotOf(this.ids[number]!, number + 1)] = 0;
    }
  }

  /** Where `content` stands in the places that the id may have. */
  #slotOf(id: number, content: number): number {
    let slot = Math.imul(id, 0x9e3779b1) >>> this.#shift;
    while (this.#slots[slot] !== content) slot = (slot + 1) & (this.#slots.length - 1);
    return slot;
  }

  #grow(): void {
    this.ids = grown(this.ids, new Uint32Array(this.ids.length * 2));
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#shift--;
    for (let number = 0; number < this.count; number++) {
      this.#slots[this.#slotOf(this.ids[number]!, 0)] = number + 1;
    }
  }
}

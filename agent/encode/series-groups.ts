import { assert } from '../../base/assert.ts';
import { decodeEntry } from '../../proto/dictionary-entry.ts';
import { labelValue } from '../../proto/label-set.ts';

/**
 * Numbers the (job, instance) pairs behind the ids of one dictionary log: series of one target are
 * scraped together, so the codec codes them together. Looked up once for each series and kept.
 */
export class SeriesGroups {
  readonly #entryOf: (id: number) => Uint8Array | undefined;
  readonly #numbers = new Map<string, number>();
  /** Per id, number of its pair plus 1; 0: not looked up yet. */
  #known = new Uint32Array(1024);

  /** @param entryOf canonical entry of the log by its id */
  constructor(entryOf: (id: number) => Uint8Array | undefined) {
    this.#entryOf = entryOf;
  }

  /** The number of the pair that series `id` belongs to. */
  keyOf(id: number): number {
    if (id >= this.#known.length) this.#grow(id);
    const known = this.#known[id]!;
    if (known > 0) return known - 1;
    const key = this.#number(this.#pairOf(id));
    this.#known[id] = key + 1;
    return key;
  }

  #pairOf(id: number): string {
    const bytes = this.#entryOf(id);
    assert(bytes !== undefined, `no entry ${id} in the dictionary`);
    const entry = decodeEntry(bytes);
    assert(entry.kind === 'series', `entry ${id} names no series`);
    const job = labelValue(entry.labels, 'job') ?? new Uint8Array(0);
    const instance = labelValue(entry.labels, 'instance') ?? new Uint8Array(0);
    // Latin-1 keeps every byte apart; the length keeps the two apart.
    const text = Buffer.concat([job, instance]).toString('latin1');
    return `${job.length} ${text}`;
  }

  #number(pair: string): number {
    let number = this.#numbers.get(pair);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(pair, number);
    }
    return number;
  }

  #grow(id: number): void {
    const known = new Uint32Array(Math.max(id + 1, this.#known.length * 2));
    known.set(this.#known);
    this.#known = known;
  }
}

import { ByteStrings } from './byte-strings.ts';

const CAPACITY_MIN = 256;
/** What may be kept besides the entries of the log: what filters drop or change. */
const BYTES_MIN = 64 << 20;
const BYTES_PER_SERIES = 256;
/** Senders that shuffle their labels, and series that are dropped, beside those in the log. */
const PER_ENTRY_MAX = 4;

/**
 * Label sets as senders write them, each with what becomes of it, so that nothing is decided twice.
 * A set is known by its number; numbers hold until `clear`.
 *
 * Scrapes repeat: a set is first compared with the one that followed the set before it the last
 * time, which needs neither a hash nor a string.
 */
export class IncomingSets {
  readonly #lender: ByteStrings;
  readonly #entriesMax: number;
  #sets: ByteStrings;
  /** Per set, the id of its series or what the caller means by a negative number. */
  #verdicts = new Int32Array(CAPACITY_MIN);
  /** Per set, the number of its canonical form: forms of one label set share it. */
  #origins = new Int32Array(CAPACITY_MIN);
  /** Per set, the set that followed it the last time, plus 1; 0: none. */
  #successors = new Uint32Array(CAPACITY_MIN);
  #last = -1;

  /**
   * @param lender the entries of the log: strings of it need not be kept a second time
   * @param entriesMax how many it may have
   */
  constructor(lender: ByteStrings, entriesMax: number) {
    this.#lender = lender;
    this.#entriesMax = entriesMax;
    this.#sets = new ByteStrings(lender);
  }

  /** Whether it is time to forget all of them: a sender's whims must not fill the memory. */
  get isFull(): boolean {
    const bytesMax = Math.max(
      BYTES_MIN,
      this.#lender.bytes * PER_ENTRY_MAX,
      this.#entriesMax * BYTES_PER_SERIES,
    );
    return this.#sets.count >= this.#entriesMax * PER_ENTRY_MAX || this.#sets.bytes >= bytesMax;
  }

  /** Number of the set in bytes [from, to), or -1. */
  find(space: number, bytes: Uint8Array, from: number, to: number): number {
    if (this.#last >= 0) {
      const predicted = this.#successors[this.#last]! - 1;
      if (predicted >= 0 && this.#sets.matches(predicted, space, bytes, from, to)) {
        this.#last = predicted;
        return predicted;
      }
    }
    const set = this.#sets.find(space, bytes, from, to);
    if (set >= 0) this.#follow(set);
    return set;
  }

  /** Adds a set that is not there; a canonical one is its own origin. */
  add(space: number, bytes: Uint8Array, verdict: number, origin?: number): number {
    return this.#note(this.#sets.add(space, bytes), verdict, origin);
  }

  /** Adds the set that is string `number` of the lender. */
  borrow(number: number, verdict: number): number {
    return this.#note(this.#sets.borrow(number), verdict, undefined);
  }

  verdict(set: number): number {
    return this.#verdicts[set]!;
  }

  origin(set: number): number {
    return this.#origins[set]!;
  }

  /** The bytes of a set, as a view into what is kept. */
  at(set: number): Uint8Array {
    return this.#sets.at(set);
  }

  clear(): void {
    this.#sets = new ByteStrings(this.#lender);
    this.#successors.fill(0);
    this.#last = -1;
  }

  #note(set: number, verdict: number, origin: number | undefined): number {
    if (set === this.#verdicts.length) this.#grow(set * 2);
    this.#verdicts[set] = verdict;
    this.#origins[set] = origin ?? set;
    this.#follow(set);
    return set;
  }

  #follow(set: number): void {
    if (this.#last >= 0) this.#successors[this.#last] = set + 1;
    this.#last = set;
  }

  #grow(capacity: number): void {
    this.#verdicts = grown(this.#verdicts, new Int32Array(capacity));
    this.#origins = grown(this.#origins, new Int32Array(capacity));
    this.#successors = grown(this.#successors, new Uint32Array(capacity));
  }
}

function grown<T extends Int32Array | Uint32Array>(array: T, larger: T): T {
  larger.set(array);
  return larger;
}

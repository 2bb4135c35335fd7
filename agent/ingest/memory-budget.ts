/**
 * Memory that requests in progress may hold together. One request always fits, however large, so
 * that none can be refused for ever.
 */
export class MemoryBudget {
  readonly #bytesMax: () => number;
  #bytes = 0;

  /** @param bytesMax asked each time, since a reload can change it */
  constructor(bytesMax: () => number) {
    this.#bytesMax = bytesMax;
  }

  /** A share of `bytes`, or undefined when they cannot be set aside. */
  open(bytes: number): MemoryShare | undefined {
    const share = new MemoryShare((change) => this.#take(change, share.bytes));
    return share.raise(bytes) ? share : undefined;
  }

  /** @param held of it by who asks */
  #take(bytes: number, held: number): boolean {
    const isAlone = this.#bytes === held;
    if (bytes > 0 && !isAlone && this.#bytes + bytes > this.#bytesMax()) return false;
    this.#bytes += bytes;
    return true;
  }
}

/** What one request holds of a budget until it is freed. */
export class MemoryShare {
  bytes = 0;
  readonly #take: (change: number) => boolean;

  constructor(take: (change: number) => boolean) {
    this.#take = take;
  }

  /** Whether it could be raised to `bytes`; it holds as many or more then. */
  raise(bytes: number): boolean {
    if (bytes <= this.bytes) return true;
    if (!this.#take(bytes - this.bytes)) return false;
    this.bytes = bytes;
    return true;
  }

  free(): void {
    this.#take(-this.bytes);
    this.bytes = 0;
  }
}

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

  /** Whether `bytes` could be set aside; each success is ended by one `free`. */
  reserve(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax()) return false;
    this.#bytes += bytes;
    return true;
  }

  free(bytes: number): void {
    this.#bytes -= bytes;
  }
}

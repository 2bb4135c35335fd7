const SLOTS_LOG = 12;

/**
 * Finds series that change by the same large delta in one block, such as bytes and packets of the
 * loopback interface, which count in and out alike. A slot is valid for the block it names.
 */
export class PartnerTable {
  readonly #series = new Int32Array(1 << SLOTS_LOG);
  readonly #blocks = new Uint32Array(1 << SLOTS_LOG);

  /** The first series of the block whose delta has this slot, then `series` itself; else -1. */
  meet(series: number, delta: number, block: number): number {
    const slot = Math.imul(delta | 0, 0x9e3779b1) >>> (32 - SLOTS_LOG);
    if (this.#blocks[slot] === block) return this.#series[slot]!;
    this.#series[slot] = series;
    this.#blocks[slot] = block;
    return -1;
  }

  /** Needed before block numbers are used again. */
  clear(): void {
    this.#blocks.fill(0);
  }
}

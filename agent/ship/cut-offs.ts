/** A hub that is cut off so often in a row in the same batch may die of that. */
const CUT_OFFS_MAX = 4;

/** How often in a row the hub was cut off in what one loop sends. */
export class CutOffs {
  #count = 0;

  /** One more; whether the hub may die of what is sent. */
  add(): boolean {
    this.#count = (this.#count + 1) % CUT_OFFS_MAX;
    return this.#count === 0;
  }

  /** Something was answered. */
  reset(): void {
    this.#count = 0;
  }
}

/**
 * What the samples of a block tell the one behind them. Series of a target stand side by side, so
 * buckets of one histogram often change together, and by the same delta.
 */
export class Neighbours {
  /** 1 when the sample before changed to a mantissa. */
  changed = 0;
  /** The same of the sample before that. */
  changedBefore = 0;
  /** Delta and mode of the sample before; they count while `changed` is 1. */
  delta = 0;
  mode = 0;

  beginBlock(): void {
    this.changed = 0;
    this.changedBefore = 0;
  }

  pass(changed: number): void {
    this.changedBefore = this.changed;
    this.changed = changed;
  }
}

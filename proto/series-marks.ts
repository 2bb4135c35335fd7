const ROUND_MAX = 2 ** 32 - 1;

/** A mark on each series that was met in the present round; no round has to be wiped away. */
export class SeriesMarks {
  #rounds = new Uint32Array(0);
  #round = 0;

  /** Forgets all marks. */
  begin(): void {
    if (this.#round === ROUND_MAX) {
      this.#rounds.fill(0);
      this.#round = 0;
    }
    this.#round++;
  }

  /** Marks series `id`; whether it had no mark yet. */
  isFirst(id: number): boolean {
    if (id >= this.#rounds.length) this.#grow(id);
    if (this.#rounds[id] === this.#round) return false;
    this.#rounds[id] = this.#round;
    return true;
  }

  get memoryBytes(): number {
    return this.#rounds.byteLength;
  }

  #grow(id: number): void {
    const larger = new Uint32Array(Math.max(1024, (id + 1) * 2));
    larger.set(this.#rounds);
    this.#rounds = larger;
  }
}

export interface MarkedRows {
  count: number;
  idOf(row: number): number;
  isExemplar(row: number): boolean;
}

/**
 * Rows at which a new body has to begin, so that none holds two samples of a series: an identical
 * sample that is sent again is taken again only while it is the newest of its series.
 *
 * @param marks of samples, and of exemplars where no body may hold two of a series either
 */
export function cutsAtRepeats(
  { count, idOf, isExemplar }: MarkedRows,
  marks: { samples: SeriesMarks; exemplars: SeriesMarks | undefined },
): number[] {
  const { samples, exemplars } = marks;
  const cuts: number[] = [];
  samples.begin();
  exemplars?.begin();
  for (let row = 0; row < count; row++) {
    const marked = isExemplar(row) ? exemplars : samples;
    const id = idOf(row);
    if (marked === undefined || marked.isFirst(id)) continue;
    cuts.push(row);
    samples.begin();
    exemplars?.begin();
    marked.isFirst(id);
  }
  return cuts;
}

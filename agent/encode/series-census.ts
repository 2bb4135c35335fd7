import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeSegment } from '../../proto/segment.ts';

/** Counting them takes a few milliseconds. */
const PAUSE_SAMPLES = 50_000;

/** Counts the series in samples of one epoch. */
export class SeriesCensus {
  /** Of different series. */
  series = 0;
  #samplesSincePause = 0;
  /** By id: 1 if it was counted. */
  #counted = new Uint8Array(1024);
  readonly #segment = new SampleColumns();

  /** Adds an intact segment; says whether that took so long that others should have their turn. */
  add({ body, samples }: { body: Uint8Array; samples: number }): boolean {
    const segment = this.#segment;
    segment.clear();
    decodeSegment(body, samples, segment);
    this.count(segment);
    this.#samplesSincePause += segment.count;
    if (this.#samplesSincePause < PAUSE_SAMPLES) return false;
    this.#samplesSincePause = 0;
    return true;
  }

  count({ ids, count }: SampleColumns): void {
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      if (id >= this.#counted.length) this.#grow(id);
      if (this.#counted[id] === 1) continue;
      this.#counted[id] = 1;
      this.series++;
    }
  }

  /** Numbers the series that were counted in the order of their ids: 0, 1, 2, … */
  numbers(): (id: number) => number {
    const numbers = new Uint32Array(this.#counted.length);
    let series = 0;
    for (let id = 0; id < numbers.length; id++) {
      numbers[id] = series;
      series += this.#counted[id]!;
    }
    return (id) => numbers[id]!;
  }

  #grow(id: number): void {
    const counted = new Uint8Array(Math.max(id + 1, this.#counted.length * 2));
    counted.set(this.#counted);
    this.#counted = counted;
  }
}

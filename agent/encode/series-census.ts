import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { SeriesRanges } from './series-ranges.ts';

/** Counting them takes a few milliseconds. */
const PAUSE_SAMPLES = 50_000;

/** Counts the samples of each series in some segments of one epoch. */
export class SeriesCensus {
  /** Of different series. */
  series = 0;
  #samples = 0;
  #samplesSincePause = 0;
  /** By id. */
  #counts = new Uint32Array(1024);
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
      if (id >= this.#counts.length) this.#grow(id);
      if (this.#counts[id]!++ === 0) this.series++;
    }
    this.#samples += count;
  }

  /** Up to `parts` ranges of series that have about as many samples each. */
  ranges(parts: number): SeriesRanges {
    const firstIds = [0];
    let samples = 0;
    for (let id = 0; id < this.#counts.length && firstIds.length < parts; id++) {
      const isFull = samples * parts >= this.#samples * firstIds.length;
      if (isFull && samples > 0) firstIds.push(id);
      samples += this.#counts[id]!;
    }
    return new SeriesRanges(firstIds);
  }

  #grow(id: number): void {
    const counts = new Uint32Array(Math.max(id + 1, this.#counts.length * 2));
    counts.set(this.#counts);
    this.#counts = counts;
  }
}

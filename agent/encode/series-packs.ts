import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { PackWriter, SECTION_SAMPLES_MIN, type WrittenPack } from './pack-writer.ts';
import { runsOf, type SeriesParts } from './series-parts.ts';

/** A pack is complete when it has so many samples, or has grown to so many bytes. */
export interface PackSize {
  samplesMax: number;
  bytesMax: number;
}

/**
 * Makes packs of stored segments that come one by one: each holds the samples of a part of the series.
 * All of them grow at once, so samples stay in memory only until a section of their pack is full.
 */
export class SeriesPacks {
  readonly #parts: SeriesParts;
  readonly #writers: PartWriter[];
  readonly #segment = new SampleColumns();
  #samplesSincePause = 0;

  /**
   * @param parts of the ids in the segments' epoch
   * @param groupKeyOf a number for the target of a series, by its id
   */
  constructor(parts: SeriesParts, size: PackSize, groupKeyOf: (id: number) => number) {
    this.#parts = parts;
    this.#writers = Array.from({ length: parts.count }, () => new PartWriter(size, groupKeyOf));
  }

  /** Adds an intact segment; says whether that took so long that others should have their turn. */
  add({ body, samples }: { body: Uint8Array; samples: number }): boolean {
    const segment = this.#segment;
    segment.clear();
    decodeSegment(body, samples, segment);
    let hasCoded = false;
    for (const { part, from, to } of runsOf(segment, (id) => this.#parts.partOf(id))) {
      if (this.#writers[part]!.add(segment, from, to)) hasCoded = true;
    }
    this.#samplesSincePause += segment.count;
    if (!hasCoded && this.#samplesSincePause < SECTION_SAMPLES_MIN) return false;
    this.#samplesSincePause = 0;
    return true;
  }

  /** The packs, part by part: of the same series, the one with its earlier samples comes first. */
  *finish(): Generator<WrittenPack> {
    for (const writer of this.#writers) yield* writer.finish();
  }
}

/** The packs of one part: mostly one; where it is full early, another one goes on. */
class PartWriter {
  readonly #size: PackSize;
  readonly #groupKeyOf: (id: number) => number;
  #writer: PackWriter;
  readonly #full: WrittenPack[] = [];

  constructor(size: PackSize, groupKeyOf: (id: number) => number) {
    this.#size = size;
    this.#groupKeyOf = groupKeyOf;
    this.#writer = new PackWriter(groupKeyOf);
  }

  /** Says whether something was coded. */
  add(columns: SampleColumns, from: number, to: number): boolean {
    const { samplesMax, bytesMax } = this.#size;
    let hasCoded = false;
    for (let row = from; row < to; ) {
      const end = Math.min(to, row + samplesMax - this.#writer.samples);
      if (this.#writer.add(columns, row, end)) hasCoded = true;
      row = end;
      if (this.#writer.samples < samplesMax && this.#writer.bytes < bytesMax) continue;
      this.#full.push(this.#writer.finish());
      this.#writer = new PackWriter(this.#groupKeyOf);
      hasCoded = true;
    }
    return hasCoded;
  }

  finish(): WrittenPack[] {
    return this.#writer.samples === 0 ? this.#full : [...this.#full, this.#writer.finish()];
  }
}

import { assert } from '../../base/assert.ts';
import { PackEncoder } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { type TimeRange, timeRange } from '../../proto/time-range.ts';

/** Samples of one section; coding them takes about as long as a commit. */
export const SECTION_SAMPLES_MIN = 20_000;
/** Likewise with native histograms; a section is also the least that a pack can be. */
const SECTION_OBJECT_BYTES_MIN = 256 * 1024;

/** The body of a pack with what is known of it. */
export interface WrittenPack extends TimeRange {
  /** The newest samples format there is. */
  format: number;
  samples: number;
  body: Uint8Array;
}

/** Writes one pack of samples that come little by little, section by section. */
export class PackWriter {
  readonly #format = Math.max(...sampleFormats.keys());
  readonly #encoder: PackEncoder;
  /** The section in the making. */
  readonly #columns = new SampleColumns();
  #objectBytes = 0;
  /** Of the sections that are complete. */
  readonly #times: TimeRange = timeRange(new SampleColumns(0));

  /** @param groupKeyOf a number for the target of a series, by its id */
  constructor(groupKeyOf: (id: number) => number) {
    const format = sampleFormats.get(this.#format);
    assert(format !== undefined, 'no samples format');
    this.#encoder = new PackEncoder(format, groupKeyOf);
  }

  /** So far. */
  get samples(): number {
    return this.#encoder.samples + this.#columns.count;
  }

  /** Bytes of the sections that are complete. */
  get bytes(): number {
    return this.#encoder.bytes;
  }

  /** Adds rows [from, to) of `columns`; says whether that has completed a section. */
  add(columns: SampleColumns, from = 0, to = columns.count): boolean {
    const { objects } = this.#columns;
    const objectsBefore = objects.length;
    this.#columns.appendRows(columns, from, to);
    for (let at = objectsBefore; at < objects.length; at++) {
      this.#objectBytes += objects[at]!.bytes.length;
    }
    const isLong =
      this.#columns.count >= SECTION_SAMPLES_MIN || this.#objectBytes >= SECTION_OBJECT_BYTES_MIN;
    if (isLong) this.#endSection();
    return isLong;
  }

  finish(): WrittenPack {
    if (this.#columns.count > 0) this.#endSection();
    const { samples } = this.#encoder;
    return { format: this.#format, samples, ...this.#times, body: this.#encoder.finish() };
  }

  #endSection(): void {
    const { oldest, newest } = timeRange(this.#columns);
    this.#times.oldest = Math.min(this.#times.oldest, oldest);
    this.#times.newest = Math.max(this.#times.newest, newest);
    this.#encoder.add(this.#columns);
    this.#columns.clear();
    this.#objectBytes = 0;
  }
}

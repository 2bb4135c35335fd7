import { assert } from '../../base/assert.ts';
import type { DictionaryPart, Keyframe } from '../../proto/batch.ts';
import { encodeBatch } from '../../proto/batch.ts';
import { PackEncoder } from '../../proto/pack.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { compressFrame } from '../../proto/zstd.ts';
import {
  type CountedRange,
  countedRanges,
  type EncodableSegment,
  type EncodedBatch,
  ZSTD_LEVEL,
} from './frames.ts';

/** Samples of one section; coding them takes about as long as a commit. */
const SECTION_SAMPLES_MIN = 20_000;
/** Likewise with native histograms; a section is also the least that a pack can be. */
const SECTION_OBJECT_BYTES_MIN = 256 * 1024;

/** Makes one pack of stored segments, which come one by one in the order of the sample log. */
export class PackMaker {
  /** Samples format of the pack: the newest there is. */
  readonly format = Math.max(...sampleFormats.keys());
  readonly #encoder: PackEncoder;
  readonly #columns = new SampleColumns();
  /** Of the section in the making. */
  #objectBytes = 0;
  readonly #segments: { run: string; sequence: number; samples: number }[] = [];

  /** @param groupKeyOf a number for the target of a series, by its id in the segments' epoch */
  constructor(groupKeyOf: (id: number) => number) {
    const format = sampleFormats.get(this.format);
    assert(format !== undefined, 'no samples format');
    this.#encoder = new PackEncoder(format, groupKeyOf);
  }

  /** Bytes of the sections that are complete. */
  get bytes(): number {
    return this.#encoder.bytes;
  }

  /** Adds an intact segment; says whether that took so long that others should have their turn. */
  add(segment: EncodableSegment): boolean {
    const { objects } = this.#columns;
    const objectsBefore = objects.length;
    decodeSegment(segment.body, segment.samples, this.#columns);
    for (let at = objectsBefore; at < objects.length; at++) {
      this.#objectBytes += objects[at]!.bytes.length;
    }
    const { run, sequence, samples } = segment;
    this.#segments.push({ run, sequence, samples });
    const isLong =
      this.#columns.count >= SECTION_SAMPLES_MIN || this.#objectBytes >= SECTION_OBJECT_BYTES_MIN;
    if (isLong) this.#endSection();
    return isLong;
  }

  finish(): { format: number; samples: number; positions: CountedRange[]; body: Uint8Array } {
    if (this.#columns.count > 0) this.#endSection();
    const { format } = this;
    const { samples } = this.#encoder;
    return {
      format,
      samples,
      positions: countedRanges(this.#segments),
      body: this.#encoder.finish(),
    };
  }

  #endSection(): void {
    this.#encoder.add(this.#columns);
    this.#columns.clear();
    this.#objectBytes = 0;
  }
}

/** The batch that carries a pack, ready for the link. */
export function encodePackBatch(
  pack: {
    run: bigint;
    stream: bigint;
    sequence: number;
    keyframe: Keyframe;
    dictionary: DictionaryPart;
    positions: PositionRange[];
    samples: number;
    body: Uint8Array;
    mayBeRedelivered: boolean;
    unordered: boolean;
  },
  sentAtMs: number,
): EncodedBatch {
  const { samples, body, ...fields } = pack;
  const message = encodeBatch({
    lane: 'pack',
    sentAtMs,
    ...fields,
    samplesCount: samples,
    samples: body,
  });
  const { stream, sequence, positions } = pack;
  const frame = compressFrame(message, ZSTD_LEVEL);
  return { frame, stream, sequence, positions, samples, sampleBytes: body.length };
}

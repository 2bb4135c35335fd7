import type { DictionaryPart, Keyframe } from '../../proto/batch.ts';
import { encodeBatch } from '../../proto/batch.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { compressFrame } from '../../proto/zstd.ts';
import {
  type CountedRange,
  countedRanges,
  type EncodableSegment,
  type EncodedBatch,
  ZSTD_LEVEL,
} from './frames.ts';
import { PackWriter, type WrittenPack } from './pack-writer.ts';

/** Makes one pack of stored segments, which come one by one in the order of the sample log. */
export class PackMaker {
  readonly #writer: PackWriter;
  readonly #columns = new SampleColumns();
  readonly #segments: { run: string; sequence: number; samples: number }[] = [];

  /** @param groupKeyOf a number for the target of a series, by its id in the segments' epoch */
  constructor(groupKeyOf: (id: number) => number) {
    this.#writer = new PackWriter(groupKeyOf);
  }

  /** Bytes of the sections that are complete. */
  get bytes(): number {
    return this.#writer.bytes;
  }

  /** Adds an intact segment; says whether that took so long that others should have their turn. */
  add({ body, run, sequence, samples }: EncodableSegment): boolean {
    this.#columns.clear();
    decodeSegment(body, samples, this.#columns);
    this.#segments.push({ run, sequence, samples });
    return this.#writer.add(this.#columns);
  }

  finish(): WrittenPack & { positions: CountedRange[] } {
    return { ...this.#writer.finish(), positions: countedRanges(this.#segments) };
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

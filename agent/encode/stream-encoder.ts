import { assert } from '../../base/assert.ts';
import type { DictionaryBatch, DictionaryPart, Keyframe } from '../../proto/batch.ts';
import { encodeBatch } from '../../proto/batch.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { type SampleEncoder, sampleFormats } from '../../proto/sample-format.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { compressFrame } from '../../proto/zstd.ts';
import { type EncodableSegment, type EncodedBatch, positionRanges, ZSTD_LEVEL } from './frames.ts';

/**
 * One live stream of one tenant towards one hub: the codec state both ends share. Every batch
 * moves it, so a batch that was given up means a new stream.
 */
export class StreamEncoder {
  readonly stream: bigint;
  readonly #run: bigint;
  readonly #keyframe: Keyframe;
  readonly #samples: SampleEncoder;
  readonly #columns = new SampleColumns();
  #sequence = 0;

  /** @param groupKeyOf a number for the target of a series, by its id in the keyframe's epoch */
  constructor(stream: bigint, run: bigint, keyframe: Keyframe, groupKeyOf: (id: number) => number) {
    const format = sampleFormats.get(keyframe.samplesFormat);
    assert(format !== undefined, `samples format ${keyframe.samplesFormat} is not ours`);
    this.stream = stream;
    this.#run = run;
    this.#keyframe = keyframe;
    this.#samples = format.createEncoder(groupKeyOf);
  }

  /** Whether the next batch opens the stream and must state where the dictionary stands. */
  get isFresh(): boolean {
    return this.#sequence === 0;
  }

  /**
   * The stream's next batch. The segments' bodies must be intact: a row is checked when it is read.
   *
   * @param dictionary entries the hub needs for these samples and does not have yet
   */
  encode(
    segments: readonly EncodableSegment[],
    dictionary: DictionaryPart | undefined,
    { sentAtMs, mayBeRedelivered }: { sentAtMs: number; mayBeRedelivered: boolean },
  ): EncodedBatch {
    const columns = this.#columns;
    columns.clear();
    for (const { body, samples } of segments) decodeSegment(body, samples, columns);
    const sequence = this.#sequence++;
    const positions = positionRanges(segments);
    const samples = this.#samples.encode(columns);
    const message = encodeBatch({
      lane: 'live',
      run: this.#run,
      sentAtMs,
      stream: this.stream,
      sequence,
      ...(sequence === 0 ? { keyframe: this.#keyframe } : {}),
      ...(dictionary === undefined ? {} : { dictionary }),
      positions,
      samplesCount: columns.count,
      samples,
      mayBeRedelivered,
    });
    const frame = compressFrame(message, ZSTD_LEVEL);
    return {
      frame,
      stream: this.stream,
      sequence,
      positions,
      samples: columns.count,
      sampleBytes: samples.length,
    };
  }
}

/** A batch of dictionary entries alone, for a hub that lacks many. */
export function encodeDictionaryBatch(
  batch: Pick<DictionaryBatch, 'run' | 'epoch' | 'epochsInUse' | 'dictionary'>,
  sentAtMs: number,
): Uint8Array {
  return compressFrame(encodeBatch({ lane: 'dictionary', sentAtMs, ...batch }), ZSTD_LEVEL);
}

/** A sign of life. */
export function encodeHeartbeat(run: bigint, sentAtMs: number): Uint8Array {
  return compressFrame(encodeBatch({ lane: 'heartbeat', run, sentAtMs }), ZSTD_LEVEL);
}

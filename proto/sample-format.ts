import { SamplesDecoder } from './codec/samples-decoder.ts';
import { SamplesEncoder } from './codec/samples-encoder.ts';
import type { SampleColumns } from './sample-columns.ts';

/**
 * The samples section of a batch. Both ends hold the state of a stream and move it batch by
 * batch; a stream begins with fresh state.
 */
export interface SampleEncoder {
  /** The next samples section of the stream. */
  encode(columns: SampleColumns): Uint8Array;
}

export interface SampleDecoder {
  /**
   * Appends the `count` samples of the stream's next section to `into`: in another order than they
   * were encoded in, but those of each series in theirs.
   *
   * @throws DecodeError, with the state of the stream and `into` as they were
   */
  decode(section: Uint8Array, count: number, into: SampleColumns): void;
}

export interface SampleFormat {
  /** @param groupKeyOf a number for the target (job, instance) of a series, by its id */
  createEncoder(groupKeyOf: (id: number) => number): SampleEncoder;
  /** @param idsMax ids are below; also the most series that the stream may hold */
  createDecoder(idsMax: number): SampleDecoder;
}

/** docs/wire-samples.md */
const adaptive: SampleFormat = {
  createEncoder: (groupKeyOf) => new SamplesEncoder(groupKeyOf),
  createDecoder: (idsMax) => new SamplesDecoder({ idsMax }),
};

/**
 * Formats by the number that a keyframe carries. A hub names those it reads and an agent takes the
 * highest that both know; a number is never used for another format (1 was never released).
 */
export const sampleFormats: ReadonlyMap<number, SampleFormat> = new Map([[2, adaptive]]);

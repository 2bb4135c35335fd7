import { ByteReader } from './bytes.ts';
import { decodeColumns, encodeColumns } from './columns-codec.ts';
import type { SampleColumns } from './sample-columns.ts';

/**
 * The samples section of a batch. Both ends hold the state of a stream and move it batch by
 * batch; a format without state is simply one whose encoder and decoder remember nothing.
 */
export interface SampleEncoder {
  /** The next samples section of the stream. */
  encode(columns: SampleColumns): Uint8Array;
}

export interface SampleDecoder {
  /**
   * Appends the `count` samples of the stream's next section to `into`.
   *
   * @throws DecodeError, with the state of the stream as it was
   */
  decode(section: Uint8Array, count: number, into: SampleColumns): void;
}

export interface SampleFormat {
  createEncoder(): SampleEncoder;
  createDecoder(): SampleDecoder;
}

const plainColumns: SampleFormat = {
  createEncoder: () => ({
    encode: (columns) => encodeColumns(columns).finish(),
  }),
  createDecoder: () => ({
    decode: (section, count, into) => decodeColumns(new ByteReader(section), count, into),
  }),
};

/** Formats by the number that a keyframe carries; a number is never used for another format. */
export const sampleFormats: ReadonlyMap<number, SampleFormat> = new Map([[1, plainColumns]]);

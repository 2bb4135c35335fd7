import { decodeSnappy, snappyDeclaredBytes } from '../../proto/snappy.ts';
import { decompressForeignFrame, foreignFrameBytes, isZstdFrame } from '../../proto/zstd.ts';

const SCRATCH_BYTES_MIN = 64 * 1024;

export interface DecodedBody {
  bytes: Uint8Array;
  /** What of `bytes` is the message. */
  length: number;
}

/**
 * Opens bodies; holds the memory that they are decoded into, so each is valid until the next.
 *
 * Whether a body is snappy or zstd shows in its first bytes, which no snappy block has. The header
 * may say otherwise: a vmagent that changes its protocol sends what its queue holds as it is.
 */
export class BodyDecoder {
  #scratch = new Uint8Array(SCRATCH_BYTES_MIN);

  /**
   * Bytes that the body declares to decode to, to be judged before anything is allocated; the
   * limit when it declares none.
   *
   * @param bytesMax limit for a decoded body, which a reload can change
   * @throws DecodeError, FrameError
   */
  expectedBytes(body: Uint8Array, bytesMax: number): number {
    if (!isZstdFrame(body)) return snappyDeclaredBytes(body);
    return foreignFrameBytes(body) ?? bytesMax;
  }

  /** @param expectedBytes of the body, within the limit @throws DecodeError, FrameError */
  decode(body: Uint8Array, expectedBytes: number): DecodedBody {
    if (isZstdFrame(body)) {
      const bytes = decompressForeignFrame(body, expectedBytes);
      return { bytes, length: bytes.length };
    }
    if (this.#scratch.length < expectedBytes) {
      // Larger by powers of two: else bodies that grow bit by bit would each want another one.
      this.#scratch = new Uint8Array(2 ** Math.ceil(Math.log2(expectedBytes)));
    }
    return { bytes: this.#scratch, length: decodeSnappy(body, this.#scratch) };
  }
}

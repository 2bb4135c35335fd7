import { type OutgoingRequest, WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { WriteRequest2Encoder } from '../../proto/remote-write/encoder-2.ts';
import type { WriteEncoder, WriteProtocol } from '../../proto/remote-write/write-encoder.ts';

/** Makes the bodies of requests, in the form that is posted and in the one that is kept. */
export class RequestBodies {
  readonly protocol: WriteProtocol;
  #posted: WriteEncoder;
  #kept: WriteEncoder;

  constructor(protocol: WriteProtocol) {
    this.protocol = protocol;
    this.#posted = encoderOf(protocol);
    this.#kept = keptEncoder();
  }

  /** Samples [from, to) for the destination. */
  posted(request: OutgoingRequest, from: number, to: number): Uint8Array {
    return this.#encode(request, this.#posted, from, to);
  }

  /** Samples [from, to) as WrittenSamples reads them. */
  kept(request: OutgoingRequest, from: number, to: number): Uint8Array {
    return this.#encode(request, this.#kept, from, to);
  }

  /** An agent that breaks the protocol can send histograms of which no body can be made. */
  #encode(request: OutgoingRequest, encoder: WriteEncoder, from: number, to: number): Uint8Array {
    try {
      return request.encode(encoder, from, to);
    } catch (error) {
      // What was begun must not get into the next body: that may be another tenant's.
      this.#posted = encoderOf(this.protocol);
      this.#kept = keptEncoder();
      throw error;
    }
  }
}

function encoderOf(protocol: WriteProtocol): WriteEncoder {
  return protocol === 'v2' ? new WriteRequest2Encoder() : new WriteRequestEncoder();
}

/** Whatever the destination speaks: the record of refused samples outlives its configuration. */
function keptEncoder(): WriteEncoder {
  return new WriteRequestEncoder({ startTimestamps: true });
}

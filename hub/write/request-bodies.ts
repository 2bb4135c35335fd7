import { WriteRequest2Encoder } from '../../proto/remote-write-2-out.ts';
import { type OutgoingRequest, WriteRequestEncoder } from '../../proto/remote-write-out.ts';
import type { WriteEncoder, WriteProtocol } from '../../proto/write-encoder.ts';

/** Makes the bodies of requests, in the form that is posted and in the one that is kept. */
export class RequestBodies {
  readonly protocol: WriteProtocol;
  readonly #posted: WriteEncoder;
  /** Whatever the destination speaks: the record of refused samples outlives its configuration. */
  readonly #kept = new WriteRequestEncoder({ startTimestamps: true });

  constructor(protocol: WriteProtocol) {
    this.protocol = protocol;
    this.#posted = protocol === 'v2' ? new WriteRequest2Encoder() : new WriteRequestEncoder();
  }

  /** Samples [from, to) for the destination. */
  posted(request: OutgoingRequest, from: number, to: number): Uint8Array {
    return request.encode(this.#posted, from, to);
  }

  /** Samples [from, to) as WrittenSamples reads them. */
  kept(request: OutgoingRequest, from: number, to: number): Uint8Array {
    return request.encode(this.#kept, from, to);
  }
}

import { type OutgoingRequest, WriteRequestEncoder } from '../../proto/remote-write-out.ts';
import { WrittenSamples } from '../../proto/written-samples.ts';
import type { KeptRequest } from '../refused-request.ts';

/** A kept request as it can be delivered again: whole with the very bytes that were sent before. */
export function outgoingAgain({ tenant, body }: KeptRequest): OutgoingRequest {
  const samples = new WrittenSamples(body);
  const encoder = new WriteRequestEncoder();
  const { count } = samples;
  return {
    tenant,
    lane: 0,
    count,
    mayBeRedelivered: false,
    encode: (from, to) => (to - from === count ? body : samples.encode(encoder, from, to)),
  };
}

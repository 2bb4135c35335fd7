import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import type { KeptRequest } from '../refused-request.ts';

/** A kept request as it can be delivered again, in any version of remote write. */
export function outgoingAgain({ tenant, body }: KeptRequest): OutgoingRequest {
  const samples = new WrittenSamples(body);
  return {
    tenant,
    lane: 0,
    count: samples.count,
    mayBeRedelivered: false,
    isExemplar: (row) => samples.isExemplar(row),
    timestamp: (row) => samples.timestamp(row),
    encode: (encoder, from, to) => samples.encode(encoder, from, to),
  };
}

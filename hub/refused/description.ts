import { messageGroup } from '../../proto/message-group.ts';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import type { DescribedRequest, RefusedRequest } from '../refused-request.ts';

/** Adds to a refused request what people look for in it. */
export function describeRequest(request: RefusedRequest, recordedAtMs: number): DescribedRequest {
  const samples = new WrittenSamples(request.body);
  return {
    ...request,
    recordedAtMs,
    messageGroup: messageGroup(request.message),
    ...samples.timeRange(),
    examples: samples.examples(),
  };
}

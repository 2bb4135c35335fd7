import { type Outcome, STORED_BEFORE } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import type { RequestBodies } from './request-bodies.ts';

/**
 * Whether the storage behind the destination has looked at the samples, and so is not in an outage.
 * Other refusals may come from something before it.
 */
export function isTaken(outcome: Outcome): boolean {
  if (outcome.kind !== 'partial' && outcome.kind !== 'atomic') return outcome.kind === 'accepted';
  return STORED_BEFORE.has(outcome.reason) || outcome.reason === 'out_of_bounds';
}

/**
 * A body with a sample behind row `from`, the first of its series from there on: no order is broken
 * when it goes ahead of its turn, and it does no harm when it comes again.
 *
 * @param choice another number, another sample
 */
export function laterSample(
  request: OutgoingRequest,
  bodies: RequestBodies,
  from: number,
  choice: number,
): Uint8Array | undefined {
  const samples = new WrittenSamples(bodies.kept(request, from, request.count));
  const later = samples.firstOfEachSeries().filter((row) => row > 0);
  const chosen = later[choice % later.length];
  return chosen === undefined
    ? undefined
    : bodies.posted(request, from + chosen, from + chosen + 1);
}

import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { OutgoingReplica, OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { RefusedSink } from '../refused-request.ts';
import { Account, type AccountedPart, type AccountTools, cut } from './account.ts';
import type { DeliveryResult, DeliverySignals } from './lanes.ts';
import type { ReplicaCover } from './replica-cover.ts';

export interface DuplicateTools extends AccountTools {
  replicas: ReplicaCover;
  refused: RefusedSink;
  clock: Clock;
}

/** How long the samples of one request have waited for another replica altogether. */
export interface Held {
  ms: number;
}

/** Samples that the destination did not take because another replica is elected. */
export interface TurnedAway {
  agent: string;
  request: OutgoingRequest;
  part: AccountedPart;
  held: Held;
  /** What the destination said. */
  message: string;
  account: Account;
  signals: DeliverySignals;
  /** Writes some of the samples on their own. */
  deliver(request: OutgoingRequest): Promise<DeliveryResult>;
}

const WAIT_MS = 5000;
const WAITING =
  'an HA replica sends samples of times of which the elected replica has written none: they wait ' +
  'for it, up to five minutes, and are then written without the replica label';

/**
 * Settles samples that were turned away, where the cluster has written of the same times. The others
 * wait for the elected replica, or to be elected. What is missing after that is written without the
 * label of the replica; what would shut out older samples of the elected one goes into the record.
 *
 * @returns whether the part is settled; else it has to be written again, or it was cancelled
 */
export async function settleDuplicates(
  { agent, request, part, held, message, account, signals, deliver }: TurnedAway,
  tools: DuplicateTools,
): Promise<boolean> {
  const { replicas, clock, log, refused } = tools;
  const { wait, missing, early } = replicas.judge(request, { ...part, heldMs: held.ms }, message);
  const count = part.to - part.from;
  if (wait.length === count) {
    held.ms += WAIT_MS;
    const { tenant } = request;
    log.warn(`replica ${tenant}`, { agent, tenant, samples: count, answer: cut(message) }, WAITING);
    await clock.sleep(WAIT_MS, signals.cancel);
    return false;
  }
  const others = new Set([...wait, ...missing, ...early]);
  const duplicates = Array.from({ length: count }, (_, at) => part.from + at);
  account.deduplicate(
    duplicates.filter((row) => !others.has(row)),
    clock.now(),
  );
  if (early.length > 0) {
    const kept = new Account(agent, replicaOf(request).unlabelled(Uint32Array.from(early)), tools);
    const all = { from: 0, to: early.length, mayBeStored: false };
    kept.refuse(all, { reason: 'ha_gap', message }, early.length);
    await refused.keep(kept.refusedRequests());
    account.add(kept);
  }
  const apart: OutgoingRequest[] = [];
  if (wait.length > 0) apart.push(request.select(Uint32Array.from(wait)));
  if (missing.length > 0) apart.push(replicaOf(request).unlabelled(Uint32Array.from(missing)));
  for (const rest of apart) {
    const result = await deliver({ ...rest, mayBeRedelivered: part.mayBeStored });
    if (result.kind === 'cancelled') return false;
    account.add(result);
  }
  return true;
}

function replicaOf({ replica }: OutgoingRequest): OutgoingReplica {
  assert(replica !== undefined, 'samples of no replica were weighed against another one');
  return replica;
}

import { unreachable } from '../base/assert.ts';
import { refusalReason, unquoted } from './refusal-reason.ts';
import type { WriteProtocol } from './remote-write/write-encoder.ts';
import type { RefusalReason } from './settlement.ts';

/** What stands at `destination.url`; decides what a 400 means. `generic`: anything else. */
export type DestinationKind =
  | 'cortex'
  | 'mimir'
  | 'prometheus'
  | 'thanos'
  | 'victoriametrics'
  | 'generic';

/** An HTTP answer to a remote write. */
export interface WriteAnswer {
  status: number;
  body: string;
  /**
   * Samples, histograms and exemplars that a receiver of version 2.0 says it has written; undefined
   * when it says nothing.
   */
  written?: number | undefined;
}

/** What an HTTP answer says about the samples of one request, and what to do next. */
export type Outcome =
  | { kind: 'accepted' }
  /** The HA tracker prefers the other replica: nothing was stored. */
  | { kind: 'deduplicated' }
  /**
   * Not now. `halve`: send less at once. `mayBeStored`: a later refusal proves nothing. `failed`: the
   * destination was there, and failed on this very request.
   */
  | { kind: 'retry'; halve: boolean; mayBeStored: boolean; failed: boolean }
  /** Too large as a whole; nothing was stored. */
  | { kind: 'halve' }
  /**
   * Some samples were refused, the rest was stored. `written`: so many; undefined: one was named, and
   * what else was refused is unknown.
   */
  | { kind: 'partial'; reason: RefusalReason; message: string; written: number | undefined }
  /** Nothing was stored, for a reason that all samples of the request share. */
  | { kind: 'refused'; reason: RefusalReason; message: string }
  /** Nothing was stored because of at least one sample. */
  | { kind: 'atomic'; reason: RefusalReason; message: string }
  /** No sample is to blame: an operator has to change something. */
  | { kind: 'misconfigured'; message: string };

/** A redirect or a method not allowed means that the URL is wrong, not that a sample is. */
const MISCONFIGURED = new Set([401, 403, 404, 405, 407, 415]);

/** 499: the destination, or a proxy before it, gave up waiting for us. */
const RETRIED = new Set([408, 425, 499]);

/** A gateway whose backend is away or slow, and an overload: these tell nothing of the request. */
const UNAVAILABLE = new Set([502, 503, 504]);

/** Cortex judges size with 400; Mimir and VictoriaMetrics do so depending on their version. */
const TOO_LARGE = /message larger than max|message size .*larger than|too big (un)?packed request/;

const TOO_MANY_HA_CLUSTERS = /too many HA (replicaGroups|clusters)|err-mimir-tenant-too-many-ha/;

/** Cortex and Mimir refuse a body with these before they store any of it. */
const NOTHING_STORED =
  /empty labels found|native histogram size \d|snappy: |proto: |unexpected EOF|invalid (Unit|Help)Ref|invalid labelRefs|labelRefs .* outside of symbols|must contain at least one sample or histogram/;

/**
 * Prometheus answers 500 for the whole request, for ever, and stores nothing of it: found by
 * patience as other failures are (hub/write/set-aside.ts), histograms would hold up every lane.
 */
const HISTOGRAMS_DISABLED = /native histogram.* (is|are) disabled/;

/** What is said of a sample that comes again, once its series has moved on. */
export const STORED_BEFORE: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  'out_of_order',
  'duplicate_timestamp',
]);

/** Judges the answer of a destination to a request in `protocol` (protocol.md). */
export function judgeAnswer(
  kind: DestinationKind,
  protocol: WriteProtocol,
  answer: WriteAnswer,
): Outcome {
  const { status } = answer;
  const message = answer.body.trim();
  if (status === 202 && electsReplicas(kind)) return { kind: 'deduplicated' };
  if (status >= 200 && status < 300) {
    // A receiver of 1.0 alone sees a message without fields, and has stored nothing.
    const isUnderstood = protocol === 'v1' || answer.written !== undefined;
    return isUnderstood ? { kind: 'accepted' } : { kind: 'misconfigured', message };
  }
  if (status === 500 && !storesParts(kind) && HISTOGRAMS_DISABLED.test(message)) {
    const reason = refusalReason(message);
    return { kind: 'atomic', reason: reason === 'other' ? 'set_aside' : reason, message };
  }
  if (status >= 500) return retry({ mayBeStored: true, failed: !UNAVAILABLE.has(status) });
  if (electsReplicas(kind) && isOneClusterTooMany(status, message)) {
    return { kind: 'refused', reason: 'ha_clusters_limit', message };
  }
  if (status === 429) return retry({ halve: true });
  if (status === 413) return { kind: 'halve' };
  if (RETRIED.has(status)) return retry({ mayBeStored: true });
  if (status < 400 || MISCONFIGURED.has(status)) return { kind: 'misconfigured', message };
  const written = protocol === 'v2' ? answer.written : undefined;
  return judgeRefusal(kind, { status, message, written });
}

/** Beside the kind, what is not said is false. */
function retry(says: { halve?: true; mayBeStored?: true; failed?: boolean }): Outcome {
  return { kind: 'retry', halve: false, mayBeStored: false, failed: false, ...says };
}

/** Judges a 400, a 409 and every 4xx that nobody foresaw. */
function judgeRefusal(
  kind: DestinationKind,
  { status, message, written }: { status: number; message: string; written: number | undefined },
): Outcome {
  if (status === 400 && TOO_LARGE.test(message)) return { kind: 'halve' };
  // Those of Cortex and Mimir count what was valid, or nothing though something was stored.
  if (written !== undefined && !electsReplicas(kind)) {
    return { kind: 'partial', reason: reasonOfLines(message), message, written };
  }
  const reason = refusalReason(message);
  const partial = storesTheRest(kind, status) && !NOTHING_STORED.test(message);
  return partial
    ? { kind: 'partial', reason, message, written: undefined }
    : { kind: 'atomic', reason, message };
}

/**
 * The reason of a refusal that has a line for each error: the first that cannot be the echo of an
 * earlier attempt, so that nothing else passes for one.
 */
function reasonOfLines(message: string): RefusalReason {
  const reasons = message.split('\n').map(refusalReason);
  return reasons.find((reason) => !STORED_BEFORE.has(reason)) ?? reasons[0]!;
}

/** Concerns the HA cluster of the request alone: it must not hold up others of the tenant. */
function isOneClusterTooMany(status: number, message: string): boolean {
  return (status === 400 || status === 429) && TOO_MANY_HA_CLUSTERS.test(unquoted(message));
}

function electsReplicas(kind: DestinationKind): boolean {
  return kind === 'cortex' || kind === 'mimir';
}

/** Whether it ever stores a part of a request that it does not answer with 2xx. */
export function storesParts(kind: DestinationKind): boolean {
  return electsReplicas(kind) || kind === 'thanos';
}

/** Whether a refusal with `status` concerns single samples only. */
function storesTheRest(kind: DestinationKind, status: number): boolean {
  switch (kind) {
    case 'cortex':
    case 'mimir':
      return status === 400;
    case 'thanos':
      return status === 409;
    case 'prometheus':
    case 'victoriametrics':
    case 'generic':
      return false;
    default:
      return unreachable(kind);
  }
}

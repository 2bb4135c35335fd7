import { unreachable } from '../base/assert.ts';
import { refusalReason } from './refusal-reason.ts';
import type { RefusalReason } from './settlement.ts';

/** What stands at `destination.url`; decides what a 400 means. `generic`: anything else. */
export type DestinationKind =
  | 'cortex'
  | 'mimir'
  | 'prometheus'
  | 'thanos'
  | 'victoriametrics'
  | 'generic';

/** What an HTTP answer says about the samples of one request, and what to do next. */
export type Outcome =
  | { kind: 'accepted' }
  /** The HA tracker prefers the other replica: nothing was stored, nothing is missing. */
  | { kind: 'deduplicated' }
  /**
   * Not now. `halve`: send less at once. `mayBeStored`: a later refusal proves nothing. `failed`: the
   * destination was there, and failed on this very request.
   */
  | { kind: 'retry'; halve: boolean; mayBeStored: boolean; failed: boolean }
  /** Too large as a whole; nothing was stored. */
  | { kind: 'halve' }
  /** One sample was refused and named, what else was refused is unknown, the rest was stored. */
  | { kind: 'partial'; reason: RefusalReason; message: string }
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
const NOTHING_STORED = /empty labels found|snappy: |proto: |unexpected EOF/;

/** Judges the answer of a destination to a remote-write 1.0 request (protocol.md). */
export function judgeAnswer(kind: DestinationKind, status: number, body: string): Outcome {
  const message = body.trim();
  if (status === 202 && electsReplicas(kind)) return { kind: 'deduplicated' };
  if (status >= 200 && status < 300) return { kind: 'accepted' };
  if (status >= 500) return retry({ mayBeStored: true, failed: !UNAVAILABLE.has(status) });
  if (status === 429) return retry({ halve: true });
  if (status === 413) return { kind: 'halve' };
  if (RETRIED.has(status)) return retry({ mayBeStored: true });
  if (status < 400 || MISCONFIGURED.has(status)) return { kind: 'misconfigured', message };
  return judgeRefusal(kind, status, message);
}

/** Beside the kind, what is not said is false. */
function retry(says: { halve?: true; mayBeStored?: true; failed?: boolean }): Outcome {
  return { kind: 'retry', halve: false, mayBeStored: false, failed: false, ...says };
}

/** Judges a 400, a 409 and every 4xx that nobody foresaw. */
function judgeRefusal(kind: DestinationKind, status: number, message: string): Outcome {
  if (status === 400 && TOO_LARGE.test(message)) return { kind: 'halve' };
  if (electsReplicas(kind) && TOO_MANY_HA_CLUSTERS.test(message)) {
    return { kind: 'misconfigured', message };
  }
  const reason = refusalReason(message);
  const partial = storesTheRest(kind, status) && !NOTHING_STORED.test(message);
  return { kind: partial ? 'partial' : 'atomic', reason, message };
}

function electsReplicas(kind: DestinationKind): boolean {
  return kind === 'cortex' || kind === 'mimir';
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

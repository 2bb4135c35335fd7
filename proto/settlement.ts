/**
 * What became of samples that a destination has answered for. Every sample of a batch is in
 * exactly one of these counts; the agent keeps its data until that is so.
 */
export interface Settlement {
  /** Stored, or already there with the same value. */
  accepted: number;
  /** The destination's HA tracker preferred the other replica (202 of Cortex): handled, not lost. */
  deduplicated: number;
  /** Refused as out of order or duplicate although an earlier attempt may have stored them. */
  redelivered: number;
  /**
   * Stored or refused: in a part of a request of which the destination named one refusal only, and
   * in which no more was searched (hub/write/refusal-search.ts).
   */
  unknown: number;
  /** Named by the destination as refused, by reason; or set aside, because it failed on them. */
  refused: Map<RefusalReason, number>;
}

/** Why a sample is given up for good; label values of `..._rejected_samples_total`. */
export type RefusalReason =
  | 'out_of_order'
  | 'duplicate_timestamp'
  | 'out_of_bounds'
  | 'too_new'
  | 'too_old'
  | 'series_limit'
  | 'invalid_series'
  | 'invalid_histogram'
  /** An exemplar alone was given up, its sample was not. */
  | 'exemplar'
  | 'too_large'
  /** The tenant has as many HA clusters as it may have, and this one is not among them. */
  | 'ha_clusters_limit'
  /** Another replica is elected, and of these times it has written nothing so far. */
  | 'ha_gap'
  /** The destination kept failing (500) on the sample while it took others. */
  | 'set_aside'
  /** Words that nobody here has met. */
  | 'other';

export function emptySettlement(): Settlement {
  return { accepted: 0, deduplicated: 0, redelivered: 0, unknown: 0, refused: new Map() };
}

/** Adds `from` to `to`. */
export function addSettlement(to: Settlement, from: Settlement): void {
  to.accepted += from.accepted;
  to.deduplicated += from.deduplicated;
  to.redelivered += from.redelivered;
  to.unknown += from.unknown;
  for (const [reason, count] of from.refused) {
    to.refused.set(reason, (to.refused.get(reason) ?? 0) + count);
  }
}

/** Samples accounted for by `settlement`, whatever became of them. */
export function settledCount(settlement: Settlement): number {
  let count =
    settlement.accepted + settlement.deduplicated + settlement.redelivered + settlement.unknown;
  for (const refused of settlement.refused.values()) count += refused;
  return count;
}

import type { Replica } from '../../proto/remote-write/encoder-1.ts';
import type { SeriesMarks } from '../../proto/series-marks.ts';

/**
 * What the expansion of a batch needs to know about series: answered from memory, by id, without
 * allocating. The label bytes of a series are `labelChunk(id)` from `labelFrom(id)` to
 * `labelTo(id)`: repeated `labels = 1` fields of a remote-write 1.0 TimeSeries.
 */
export interface SeriesSource {
  /** By id, for one look over rows at a time. */
  readonly marks: { samples: SeriesMarks; exemplars: SeriesMarks };
  /** Number of the tenant among the source's tenants, or -1 when none of its series is theirs. */
  tenantNumber(tenant: string): number;
  /** Tenant number of series `id`, or -1 when `id` is unknown or names no series. */
  tenantOf(id: number): number;
  labelChunk(id: number): Uint8Array;
  labelFrom(id: number): number;
  labelTo(id: number): number;
  /** 32 bits that depend on the label bytes only: the same in every epoch, stream and process. */
  laneHash(id: number): number;
  /** 0 for a series without HA labels, else one number per (cluster, replica). */
  replicaGroup(id: number): number;
  /** A copy of the label bytes of a series with a replica group, without the label of the replica. */
  labelsWithoutReplica(id: number): Uint8Array;
  /** Cluster and replica of a group above 0. */
  replicaOf(group: number): Replica;
}

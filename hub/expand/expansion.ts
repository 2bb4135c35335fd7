import { hashLabels } from '../../proto/label-hash.ts';
import type { OutgoingRequest, Replica } from '../../proto/remote-write/encoder-1.ts';
import { encodeRows } from '../../proto/remote-write/written-rows.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { cutsAtRepeats } from '../../proto/series-marks.ts';
import { type BucketOptions, Buckets } from './buckets.ts';
import type { SeriesSource } from './series-source.ts';
import { WritingOrder } from './writing-order.ts';

/** A decoded batch. Its columns must not change until the requests made of it are settled. */
export interface ExpandableBatch {
  /** As the destination names the tenant; never empty. */
  tenant: string;
  /** As the agent and its dictionary name it; empty for the agent's default. */
  named: string;
  columns: SampleColumns;
  mayBeRedelivered: boolean;
}

/** `unknown_series`, `foreign_series`: the batch breaks the protocol; nothing of it is written. */
export type Expansion =
  | { kind: 'requests'; requests: OutgoingRequest[]; heldBytes: number }
  | { kind: 'unknown_series'; id: number }
  | { kind: 'foreign_series'; id: number };

/** How many times the lanes of an agent and tenant are there for replica groups. */
const REPLICA_LANES = 16;
const BYTES_PER_ROW = 4 + 8 + 8;
/** About what an object costs beside its own bytes. */
const OBJECT_OVERHEAD_BYTES = 200;

/**
 * Turns a decoded batch into requests for the destination.
 *
 * Order: a series is always on the same lane, and the requests of a lane come in the order in
 * which they are to be sent, so that the samples of a series keep their order. Requests of
 * different lanes may be sent at the same time.
 */
export function expandBatch(
  batch: ExpandableBatch,
  source: SeriesSource,
  options: BucketOptions,
): Expansion {
  const { columns } = batch;
  const order = new WritingOrder(columns);
  const buckets = new Buckets(order, options);
  const tenantNumber = source.tenantNumber(batch.named);
  for (const row of order.rows) {
    const id = columns.ids[row]!;
    const owner = source.tenantOf(id);
    if (owner < 0) return { kind: 'unknown_series', id };
    if (owner !== tenantNumber) return { kind: 'foreign_series', id };
    buckets.add(row, source.laneHash(id), source.replicaGroup(id));
  }
  const outgoing = (lane: number, rows: Uint32Array, replica?: Replica): OutgoingRequest => ({
    tenant: batch.tenant,
    lane,
    replica: replica && {
      ...replica,
      unlabelled: (chosen) => unlabelled(lane, pick(rows, chosen)),
    },
    count: rows.length,
    mayBeRedelivered: batch.mayBeRedelivered,
    isExemplar: (row) => order.isExemplar(rows[row]!),
    seriesHash: (row) => source.laneHash(columns.ids[rows[row]!]!),
    timestampOf: (row) => columns.timestamps[rows[row]!]!,
    cutsAtRepeats: (isOneExemplar) =>
      cutsAtRepeats(
        {
          count: rows.length,
          idOf: (row) => columns.ids[rows[row]!]!,
          isExemplar: (row) => order.isExemplar(rows[row]!),
        },
        { ...source.marks, ...(isOneExemplar ? {} : { exemplars: undefined }) },
      ),
    select: (chosen) => outgoing(lane, pick(rows, chosen), replica),
    encode: (encoder, from, to) =>
      encodeRows(encoder, columns, rows.subarray(from, to), (id) => {
        encoder.series(source.labelChunk(id), source.labelFrom(id), source.labelTo(id));
      }),
  });
  const unlabelled = (lane: number, rows: Uint32Array): OutgoingRequest => ({
    ...outgoing(lane, rows),
    select: (chosen) => unlabelled(lane, pick(rows, chosen)),
    encode: (encoder, from, to) =>
      encodeRows(encoder, columns, rows.subarray(from, to), (id) => {
        const labels = source.labelsWithoutReplica(id);
        encoder.series(labels, 0, labels.length);
      }),
  });
  const requests = buckets.slices().map(({ lane, group, rows }) => {
    if (group === 0) return outgoing(lane, rows);
    const replica = source.replicaOf(group);
    return outgoing(replicaLane(lane, replica, options.lanes), rows, replica);
  });
  return { kind: 'requests', requests, heldBytes: heldBytes(columns) };
}

function pick(rows: Uint32Array, chosen: Uint32Array): Uint32Array {
  return chosen.map((row) => rows[row]!);
}

/**
 * Replica groups have lanes apart from those of other series, and mostly from one another, so that a
 * group that the destination does not take holds up no other one.
 */
function replicaLane(lane: number, { cluster, replica }: Replica, lanes: number): number {
  const name = Buffer.from(`${cluster.length} ${cluster}${replica}`);
  return lanes * (1 + (hashLabels(name) % REPLICA_LANES)) + lane;
}

function heldBytes({ ids, count, objects, startTimestamps }: SampleColumns): number {
  const objectBytes = objects.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return (
    ids.length * BYTES_PER_ROW +
    count * 4 +
    (startTimestamps?.byteLength ?? 0) +
    objectBytes +
    objects.length * OBJECT_OVERHEAD_BYTES
  );
}

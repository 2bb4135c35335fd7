import { assert } from '../../base/assert.ts';
import { wholeObject } from '../../proto/objects/histogram.ts';
import type { OutgoingRequest, WriteRequestEncoder } from '../../proto/remote-write-out.ts';
import { ObjectCursor, type SampleColumns } from '../../proto/sample-columns.ts';
import type { SeriesSource } from './series-source.ts';

/** A decoded batch. Its columns must not change until the requests made of it are settled. */
export interface ExpandableBatch {
  /** As the destination names the tenant; never empty. */
  tenant: string;
  /** As the agent and its dictionary name it; empty for the agent's default. */
  named: string;
  columns: SampleColumns;
  mayBeRedelivered: boolean;
}

export interface ExpandOptions {
  /** Lanes of an agent and tenant. */
  lanes: number;
  samplesPerRequestMax: number;
  /** Whether the destination elects replicas, so that no body may mix them (Cortex, Mimir). */
  separateReplicas: boolean;
}

/** `unknown_series`, `foreign_series`: the batch breaks the protocol; nothing of it is written. */
export type Expansion =
  | { kind: 'requests'; requests: OutgoingRequest[]; heldBytes: number }
  | { kind: 'unknown_series'; id: number }
  | { kind: 'foreign_series'; id: number };

const BYTES_PER_ROW = 4 + 8 + 8;

/**
 * Turns a decoded batch into requests for the destination.
 *
 * Order: a series is always on the same lane, and the requests of a lane come in the order in
 * which they are to be sent, so that the samples of a series keep their order. Requests of
 * different lanes may be sent at the same time.
 *
 * @param encoder writes the bodies, one at a time, when they are sent
 */
export function expandBatch(
  batch: ExpandableBatch,
  source: SeriesSource,
  options: ExpandOptions,
  encoder: WriteRequestEncoder,
): Expansion {
  const { columns } = batch;
  const buckets = new Buckets(columns.count, options);
  const tenantNumber = source.tenantNumber(batch.named);
  for (let row = 0; row < columns.count; row++) {
    const id = columns.ids[row]!;
    const owner = source.tenantOf(id);
    if (owner < 0) return { kind: 'unknown_series', id };
    if (owner !== tenantNumber) return { kind: 'foreign_series', id };
    buckets.add(row, source.laneHash(id), source.replicaGroup(id));
  }
  const requests = buckets.slices().map(
    ({ lane, rows }): OutgoingRequest => ({
      tenant: batch.tenant,
      lane,
      count: rows.length,
      mayBeRedelivered: batch.mayBeRedelivered,
      encode: (from, to) => encodeRows(encoder, columns, rows.subarray(from, to), source),
    }),
  );
  const heldBytes = columns.ids.length * BYTES_PER_ROW + columns.count * 4;
  return { kind: 'requests', requests, heldBytes };
}

function encodeRows(
  encoder: WriteRequestEncoder,
  columns: SampleColumns,
  rows: Uint32Array,
  source: SeriesSource,
): Uint8Array {
  const { ids, timestamps, valueBits } = columns;
  assert(rows.length > 0, 'an empty request');
  const objects = new ObjectCursor(columns.objects);
  let previous = -1;
  for (const row of rows) {
    const id = ids[row]!;
    if (id !== previous) {
      encoder.series(source.labelChunk(id), source.labelFrom(id), source.labelTo(id));
      previous = id;
    }
    const object = objects.at(row);
    if (object !== undefined) encoder[object.kind](timestamps[row]!, wholeObject(object));
    else encoder.sample(timestamps[row]!, valueBits[row * 2]!, valueBits[row * 2 + 1]!);
  }
  return encoder.finish();
}

interface Slice {
  lane: number;
  /** Rows of the batch, ascending. */
  rows: Uint32Array;
}

/** Rows by lane, and by replica group where the destination wants that. */
class Buckets {
  readonly #options: ExpandOptions;
  readonly #bucketOfRow: Uint32Array;
  /** Bucket by group · lanes + lane, in order of first use. */
  readonly #numbers = new Map<number, number>();
  readonly #lanes: number[] = [];
  readonly #counts: number[] = [];

  constructor(rows: number, options: ExpandOptions) {
    this.#options = options;
    this.#bucketOfRow = new Uint32Array(rows);
  }

  add(row: number, laneHash: number, replicaGroup: number): void {
    const { lanes, separateReplicas } = this.#options;
    const lane = laneHash % lanes;
    const key = separateReplicas ? replicaGroup * lanes + lane : lane;
    let bucket = this.#numbers.get(key);
    if (bucket === undefined) {
      bucket = this.#lanes.length;
      this.#numbers.set(key, bucket);
      this.#lanes.push(lane);
      this.#counts.push(0);
    }
    this.#bucketOfRow[row] = bucket;
    this.#counts[bucket]!++;
  }

  /**
   * The buckets cut into slices of at most samplesPerRequestMax rows, oldest arrival first: a
   * replica group that is written as a whole before the next one would leave the latter's samples
   * behind the tenant's head when a batch covers more than an hour.
   */
  slices(): Slice[] {
    const { samplesPerRequestMax } = this.#options;
    const slices: Slice[] = [];
    this.#rowsByBucket().forEach((rows, bucket) => {
      const lane = this.#lanes[bucket]!;
      for (let from = 0; from < rows.length; from += samplesPerRequestMax) {
        slices.push({ lane, rows: rows.subarray(from, from + samplesPerRequestMax) });
      }
    });
    return slices.sort((one, other) => one.rows[0]! - other.rows[0]!);
  }

  #rowsByBucket(): Uint32Array[] {
    const all = new Uint32Array(this.#bucketOfRow.length);
    let to = 0;
    const rows = this.#counts.map((count) => {
      to += count;
      return all.subarray(to - count, to);
    });
    const filled = new Uint32Array(rows.length);
    this.#bucketOfRow.forEach((bucket, row) => {
      rows[bucket]![filled[bucket]!++] = row;
    });
    return rows;
  }
}

import type { WritingOrder } from './writing-order.ts';

export interface BucketOptions {
  /** Lanes of an agent and tenant. */
  lanes: number;
  samplesPerRequestMax: number;
  /** Whether the destination elects replicas, so that no body may mix them (Cortex, Mimir). */
  separateReplicas: boolean;
}

/** Of native histograms and exemplars in a request: floats of any number it may have are less. */
export const REQUEST_OBJECT_BYTES_MAX = 4 * 2 ** 20;

export interface Slice {
  /** Below `lanes`: of the series alone, whatever its replica group. */
  lane: number;
  /** 0: none, or not of interest. */
  group: number;
  /** Rows of the batch, in the order in which they are written. */
  rows: Uint32Array;
}

/**
 * Rows by lane, and by replica group where the destination wants that. Exemplars that no sample of
 * their series goes with are apart: receivers of version 2.0 refuse them, and some refuse whatever
 * is in the same body.
 */
export class Buckets {
  readonly #order: WritingOrder;
  readonly #options: BucketOptions;
  readonly #bucketOfRow: Uint32Array;
  /** Bucket by ((group · lanes + lane) · 2 + is apart), in order of first use. */
  readonly #numbers = new Map<number, number>();
  readonly #lanes: number[] = [];
  readonly #groups: number[] = [];
  readonly #counts: number[] = [];

  constructor(order: WritingOrder, options: BucketOptions) {
    this.#order = order;
    this.#options = options;
    this.#bucketOfRow = new Uint32Array(order.rows.length);
  }

  /** Every row once. */
  add(row: number, laneHash: number, replicaGroup: number): void {
    const { lanes, separateReplicas } = this.#options;
    const lane = laneHash % lanes;
    const group = separateReplicas ? replicaGroup : 0;
    const key = (group * lanes + lane) * 2 + (this.#order.isAlone(row) ? 1 : 0);
    let bucket = this.#numbers.get(key);
    if (bucket === undefined) {
      bucket = this.#lanes.length;
      this.#numbers.set(key, bucket);
      this.#lanes.push(lane);
      this.#groups.push(group);
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
    const slices: (Slice & { place: number })[] = [];
    this.#rowsByBucket().forEach((rows, bucket) => {
      const lane = this.#lanes[bucket]!;
      const group = this.#groups[bucket]!;
      let place = 0;
      for (let from = 0; from < rows.length; ) {
        const to = this.#cut(rows, from);
        // An exemplar has arrived before or behind the sample it stands behind: it has no place.
        if (!this.#order.isJoined(rows[from]!)) place = rows[from]!;
        slices.push({ lane, group, rows: rows.subarray(from, to), place });
        from = to;
      }
    });
    return slices.sort((one, other) => one.place - other.place);
  }

  /** Where the slice from `from` on ends: not between a sample and its exemplars, if that can be. */
  #cut(rows: Uint32Array, from: number): number {
    const toMax = this.#cutWhereNeeded(rows, from);
    let to = toMax;
    while (to > from && to < rows.length && this.#order.isJoined(rows[to]!)) to--;
    return to > from ? to : toMax;
  }

  /**
   * As many rows as a request may hold, by number and by bytes, but none that must not be with
   * another of them.
   */
  #cutWhereNeeded(rows: Uint32Array, from: number): number {
    const toMax = Math.min(from + this.#options.samplesPerRequestMax, rows.length);
    if (!this.#order.hasObjects) return toMax;
    let bytes = this.#order.bytesOf(rows[from]!);
    for (let at = from + 1; at < toMax; at++) {
      bytes += this.#order.bytesOf(rows[at]!);
      if (bytes > REQUEST_OBJECT_BYTES_MAX) return at;
      const other = this.#order.notWith(rows[at]!);
      if (other !== undefined && rows.subarray(from, at).includes(other)) return at;
    }
    return toMax;
  }

  #rowsByBucket(): Uint32Array[] {
    const all = new Uint32Array(this.#bucketOfRow.length);
    let to = 0;
    const rows = this.#counts.map((count) => {
      to += count;
      return all.subarray(to - count, to);
    });
    const filled = new Uint32Array(rows.length);
    for (const row of this.#order.rows) {
      const bucket = this.#bucketOfRow[row]!;
      rows[bucket]![filled[bucket]!++] = row;
    }
    return rows;
  }
}

import { compress } from 'snappyjs';
import { HISTOGRAM_START_TIMESTAMP, HISTOGRAM_TIMESTAMP } from '../objects/histogram.ts';
import { SeriesWriter } from './series-writer.ts';
import type { WriteEncoder } from './write-encoder.ts';

/** One of the Prometheus of an HA cluster, as its labels name it. */
export interface Replica {
  cluster: string;
  replica: string;
}

/** The replica that all samples of a request come from. */
export interface OutgoingReplica extends Replica {
  /**
   * The samples of `rows` alone, without the label of the replica: the destination stores the same
   * series, and holds no election over them.
   */
  unlabelled(rows: Uint32Array): OutgoingRequest;
}

/**
 * Samples on their way to the destination, small enough for one body. They stay references into
 * their batch until a body is needed, so that a request held for hours costs four bytes a sample.
 */
export interface OutgoingRequest {
  tenant: string;
  /** All samples of a series travel on one lane, and a lane sends one request at a time. */
  lane: number;
  /** Where the destination elects replicas and the samples carry the labels for that. */
  replica?: OutgoingReplica | undefined;
  /** Samples in the request; native histograms and exemplars count as such. */
  count: number;
  /** Whether an earlier attempt, of this hub or of one before it, may have stored samples. */
  mayBeRedelivered: boolean;
  /** Whether a row is an exemplar, which is nothing without a sample. */
  isExemplar(row: number): boolean;
  /** 32 bits that depend on the labels of a row's series only. */
  seriesHash(row: number): number;
  /** Milliseconds since the Unix epoch. */
  timestampOf(row: number): number;
  /**
   * Rows at which a new body has to begin, ascending, so that none holds two samples of a series.
   *
   * @param isOneExemplar nor two exemplars
   */
  cutsAtRepeats(isOneExemplar: boolean): readonly number[];
  /** The same request with only these rows, in this order. */
  select(rows: Uint32Array): OutgoingRequest;
  /** The snappy-compressed body with samples [from, to) of the request, as `encoder` writes it. */
  encode(encoder: WriteEncoder, from: number, to: number): Uint8Array;
}

const TIMESERIES_TAG = 0x0a;
const EXEMPLAR_TAG = 0x1a;
const HISTOGRAM_TAG = 0x22;
const EXEMPLAR_TIMESTAMP = 3;

/**
 * Writes remote-write 1.0 bodies (proto/remote-write/version-1.proto):
 *
 *     message WriteRequest { repeated TimeSeries timeseries = 1; }
 *     message TimeSeries {
 *       repeated Label labels = 1; repeated Sample samples = 2;
 *       repeated Exemplar exemplars = 3; repeated Histogram histograms = 4;
 *     }
 */
export class WriteRequestEncoder implements WriteEncoder {
  readonly joinsExemplars: boolean;
  readonly #series = new SeriesWriter(TIMESERIES_TAG);
  readonly #startTimestamps: boolean;

  /**
   * @param startTimestamps writes them where 2.0 has them. Version 1.0 has none, so a body with
   *   them is for our own eyes
   */
  constructor({ startTimestamps }: { startTimestamps: boolean } = { startTimestamps: false }) {
    this.#startTimestamps = startTimestamps;
    // Kept: written again in version 2.0, exemplars must be found beside their sample.
    this.joinsExemplars = startTimestamps;
  }

  series(source: Uint8Array, from: number, to: number): void {
    this.#series.begin(source, from, to);
  }

  sample(timestamp: number, low: number, high: number, startTimestamp = 0): void {
    this.#series.sample(timestamp, low, high, this.#startTimestamps ? startTimestamp : 0);
  }

  histogram(timestamp: number, bytes: Uint8Array, startTimestamp = 0): void {
    this.#series.object(
      HISTOGRAM_TAG,
      bytes,
      { field: HISTOGRAM_TIMESTAMP, ms: timestamp },
      { field: HISTOGRAM_START_TIMESTAMP, ms: this.#startTimestamps ? startTimestamp : 0 },
    );
  }

  exemplar(timestamp: number, bytes: Uint8Array): void {
    this.#series.object(EXEMPLAR_TAG, bytes, { field: EXEMPLAR_TIMESTAMP, ms: timestamp });
  }

  finish(): Uint8Array {
    return compress(this.#series.take());
  }
}

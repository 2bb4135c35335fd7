/** The version of remote write in which the hub writes: 1.0 or 2.0. */
export type WriteProtocol = 'v1' | 'v2';

/**
 * Writes the bodies of write requests, of either version, from label bytes that are encoded
 * already.
 *
 * Samples keep the order in which they are added: those of one series that follow one another
 * share a TimeSeries, a series that comes again gets another one. They are not gathered by series
 * over the whole body, because a fresh tenant of Cortex takes the first sample it meets for the
 * present: with newer samples first, the older half of the body is out of bounds.
 */
export interface WriteEncoder {
  /**
   * Whether exemplars share a TimeSeries with samples, as version 2.0 wants it. In version 1.0 no
   * sender does that: Cortex drops the samples too where it refuses the exemplar, and Prometheus
   * drops exemplars silently where a histogram of the same TimeSeries was to begin the series.
   */
  readonly joinsExemplars: boolean;
  /** Begins a TimeSeries with the `labels` fields of 1.0 in bytes [from, to) of `source`. */
  series(source: Uint8Array, from: number, to: number): void;
  /**
   * Adds a sample to the open TimeSeries.
   *
   * @param timestamp milliseconds since the Unix epoch, whole, within ±2^53
   * @param low the lower 32 bits of the value's IEEE 754 bits
   * @param high the upper 32 bits
   * @param startTimestamp when its counter began, as `timestamp`; 0: not known
   */
  sample(timestamp: number, low: number, high: number, startTimestamp?: number): void;
  /** Adds a canonical native histogram (proto/objects) to the open TimeSeries. */
  histogram(timestamp: number, bytes: Uint8Array, startTimestamp?: number): void;
  /** Adds a canonical exemplar (proto/objects) to the open TimeSeries. */
  exemplar(timestamp: number, bytes: Uint8Array): void;
  /** The body, compressed with snappy; the encoder is empty afterwards. */
  finish(): Uint8Array;
}

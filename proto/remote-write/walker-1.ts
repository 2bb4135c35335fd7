import { ByteWriter, DecodeError } from '../bytes.ts';
import { FIXED64, FieldCursor, LEN, VARINT } from '../field-cursor.ts';

// Walks a remote write 1.0 request without building an object per message. version-1.proto says:
//
//   message WriteRequest {
//     repeated TimeSeries timeseries = 1;
//     repeated MetricMetadata metadata = 3;
//   }
//   message TimeSeries {
//     repeated Label labels = 1;
//     repeated Sample samples = 2;
//     repeated Exemplar exemplars = 3;
//     repeated Histogram histograms = 4;
//   }
//   message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }

const TIMESERIES_TAG = (1 << 3) | LEN;
const METADATA_TAG = (3 << 3) | LEN;
/** io.prometheus.write.v2.Request: symbols = 4, timeseries = 5. */
const VERSION_2_SYMBOLS_TAG = (4 << 3) | LEN;
const VERSION_2_TIMESERIES_TAG = (5 << 3) | LEN;
const LABELS_TAG = (1 << 3) | LEN;
const SAMPLES_TAG = (2 << 3) | LEN;
const EXEMPLARS_TAG = (3 << 3) | LEN;
const HISTOGRAMS_TAG = (4 << 3) | LEN;
const VALUE_TAG = (1 << 3) | FIXED64;
const TIMESTAMP_TAG = (2 << 3) | VARINT;
/** Not of Prometheus: Cortex and senders for it add it to version 1.0. */
const START_TIMESTAMP_TAG = (3 << 3) | VARINT;

/** Takes what a request holds, in the order in which it stands there. */
export interface WriteRequestSink {
  /**
   * The series that what follows belongs to; not called for one that nothing follows. Its labels
   * are the `labels` fields in bytes [from, to), as sent: neither sorted nor judged. `bytes` is the
   * request, or a scratch.
   *
   * @param samples floats and histograms that follow
   */
  series(bytes: Uint8Array, from: number, to: number, samples: number): void;
  /**
   * @param timestamp milliseconds, exact; NaN when it is not within ±2^53
   * @param bitsLow low half of the value's IEEE 754 bits
   * @param startTimestamp as `timestamp`; 0: not known
   */
  sample(timestamp: number, bitsLow: number, bitsHigh: number, startTimestamp: number): void;
  /**
   * The Histogram message in bytes [from, to).
   *
   * @param startTimestamp as of `sample`, for one that has none of its own
   */
  histogram(bytes: Uint8Array, from: number, to: number, startTimestamp: number): void;
  /** The Exemplar message of version 1.0 in bytes [from, to). */
  exemplar(bytes: Uint8Array, from: number, to: number): void;
  /** The MetricMetadata message of version 1.0 in bytes [from, to). */
  metadata(bytes: Uint8Array, from: number, to: number): void;
}

/** Walks write requests; holds the scratch that they share. */
export class WriteRequestWalker {
  /** Labels of the current series, gathered from where they stand. */
  readonly #scattered = new ByteWriter();

  /**
   * Walks the prometheus.WriteRequest in the first `length` bytes. Fields may stand in any order,
   * unknown ones are passed over, of a scalar that comes twice the last one counts.
   *
   * To this message a request of version 2.0 looks empty, and a 2xx would lose it silently; it
   * comes here when its content type is missing or written with a blank. So it is refused.
   *
   * @throws DecodeError naming the place; the sink has then seen what stands before
   */
  walk(bytes: Uint8Array, length: number, sink: WriteRequestSink): void {
    const cursor = new FieldCursor(bytes, 0, length);
    let hasKnown = false;
    let hasVersion2 = false;
    while (cursor.at < length) {
      const tag = cursor.tag();
      hasKnown ||= tag === TIMESERIES_TAG || tag === METADATA_TAG;
      hasVersion2 ||= tag === VERSION_2_SYMBOLS_TAG || tag === VERSION_2_TIMESERIES_TAG;
      if (tag === TIMESERIES_TAG) {
        const outerEnd = cursor.enter();
        this.#walkSeries(cursor, sink);
        cursor.leave(outerEnd);
      } else if (tag === METADATA_TAG) {
        const to = cursor.contentEnd();
        sink.metadata(bytes, cursor.at, to);
        cursor.at = to;
      } else {
        skipUnknown(cursor, tag, 'WriteRequest', TIMESERIES_TAG, METADATA_TAG);
      }
    }
    if (hasVersion2 && !hasKnown) {
      throw new DecodeError('a remote write 2.0 message under the content type of 1.0');
    }
  }

  /** Two passes, since samples may stand before the labels they belong to. */
  #walkSeries(cursor: FieldCursor, sink: WriteRequestSink): void {
    const from = cursor.at;
    let labelsFrom = from;
    let labelsTo = from;
    let samples = 0;
    let exemplars = 0;
    let isScattered = false;
    while (cursor.at < cursor.end) {
      const fieldAt = cursor.at;
      const tag = cursor.tag();
      if (tag === LABELS_TAG) {
        cursor.at = cursor.contentEnd();
        if (labelsTo === labelsFrom) {
          labelsFrom = fieldAt;
        } else if (labelsTo !== fieldAt) {
          if (!isScattered) this.#gatherFirst(cursor.bytes, labelsFrom, labelsTo);
          isScattered = true;
        }
        if (isScattered) this.#scattered.raw(cursor.bytes, fieldAt, cursor.at);
        labelsTo = cursor.at;
      } else if (tag === SAMPLES_TAG || tag === HISTOGRAMS_TAG) {
        cursor.at = cursor.contentEnd();
        samples++;
      } else if (tag === EXEMPLARS_TAG) {
        cursor.at = cursor.contentEnd();
        exemplars++;
      } else {
        skipUnknown(
          cursor,
          tag,
          'TimeSeries',
          LABELS_TAG,
          SAMPLES_TAG,
          EXEMPLARS_TAG,
          HISTOGRAMS_TAG,
        );
      }
    }
    if (samples + exemplars === 0) return;
    if (isScattered) sink.series(this.#scattered.bytes, 0, this.#scattered.length, samples);
    else sink.series(cursor.bytes, labelsFrom, labelsTo, samples);
    cursor.at = labelsFrom === from && !isScattered ? labelsTo : from;
    walkContent(cursor, sink);
  }

  #gatherFirst(bytes: Uint8Array, from: number, to: number): void {
    this.#scattered.clear();
    this.#scattered.raw(bytes, from, to);
  }
}

/** Hands what is in [cursor.at, cursor.end) over; the first pass has checked the fields. */
function walkContent(cursor: FieldCursor, sink: WriteRequestSink): void {
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (tag === SAMPLES_TAG) {
      const outerEnd = cursor.enter();
      walkSample(cursor, sink, 0);
      cursor.leave(outerEnd);
    } else if (tag === HISTOGRAMS_TAG || tag === EXEMPLARS_TAG) {
      const to = cursor.contentEnd();
      if (tag === HISTOGRAMS_TAG) sink.histogram(cursor.bytes, cursor.at, to, 0);
      else sink.exemplar(cursor.bytes, cursor.at, to);
      cursor.at = to;
    } else {
      cursor.skip(tag);
    }
  }
}

/**
 * Hands over the Sample message that the cursor was narrowed to; alike in both versions.
 *
 * @param seriesStart start timestamp for a sample that has none
 */
export function walkSample(cursor: FieldCursor, sink: WriteRequestSink, seriesStart: number): void {
  const { bytes } = cursor;
  let timestamp = 0;
  let bitsLow = 0;
  let bitsHigh = 0;
  let startTimestamp = 0;
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (tag === VALUE_TAG) {
      const at = cursor.take(8);
      bitsLow = uint32At(bytes, at);
      bitsHigh = uint32At(bytes, at + 4);
    } else if (tag === TIMESTAMP_TAG) {
      timestamp = cursor.int64();
    } else if (tag === START_TIMESTAMP_TAG) {
      startTimestamp = cursor.int64();
    } else {
      skipUnknown(cursor, tag, 'Sample', VALUE_TAG, TIMESTAMP_TAG, START_TIMESTAMP_TAG);
    }
  }
  sink.sample(timestamp, bitsLow, bitsHigh, startTimestamp === 0 ? seriesStart : startTimestamp);
}

function uint32At(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

/** A known field with another wire type is no unknown field: Prometheus refuses it too. */
export function skipUnknown(
  cursor: FieldCursor,
  tag: number,
  message: string,
  ...knownTags: number[]
): void {
  for (const knownTag of knownTags) {
    if (knownTag >>> 3 === tag >>> 3) {
      throw new DecodeError(
        `${message}: field ${tag >>> 3} before byte ${cursor.at} has wire type ${tag & 7}`,
      );
    }
  }
  cursor.skip(tag);
}

import { type FieldCursor, LEN, VARINT } from '../field-cursor.ts';
import { References } from './request-symbols.ts';
import { skipUnknown } from './walker-1.ts';

// A TimeSeries of remote write 2.0:
//
//   message TimeSeries {
//     repeated uint32 labels_refs = 1;
//     repeated Sample samples = 2;
//     repeated Histogram histograms = 3;
//     repeated Exemplar exemplars = 4;
//     Metadata metadata = 5;
//     int64 created_timestamp = 6;
//   }
//   message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
//   message Metadata { MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }

export const LABELS_REFS = 1;
export const SAMPLES_TAG = (2 << 3) | LEN;
export const HISTOGRAMS_TAG = (3 << 3) | LEN;
export const EXEMPLARS_TAG = (4 << 3) | LEN;
const METADATA_TAG = (5 << 3) | LEN;
const CREATED_TIMESTAMP_TAG = (6 << 3) | VARINT;
const TYPE_TAG = (1 << 3) | VARINT;
const HELP_REF_TAG = (3 << 3) | VARINT;
const UNIT_REF_TAG = (4 << 3) | VARINT;
const TYPE_MAX = 2 ** 31 - 1;

/** What a first pass over a series finds, before its content can be handed over. */
export class SeriesOutline {
  readonly references = new References();
  samples = 0;
  exemplars = 0;
  hasMetadata = false;
  type = 0;
  help = 0;
  unit = 0;
  /**
   * Start of the counters for samples that name none, in ms; 0: not known. Prometheus no longer
   * reads it, Cortex does.
   */
  created = 0;

  read(cursor: FieldCursor): void {
    this.references.clear();
    this.samples = 0;
    this.exemplars = 0;
    this.hasMetadata = false;
    this.type = 0;
    this.help = 0;
    this.unit = 0;
    this.created = 0;
    while (cursor.at < cursor.end) this.#readField(cursor, cursor.tag());
  }

  #readField(cursor: FieldCursor, tag: number): void {
    if (tag >>> 3 === LABELS_REFS) {
      this.references.read(cursor, tag);
    } else if (tag === SAMPLES_TAG || tag === HISTOGRAMS_TAG) {
      cursor.at = cursor.contentEnd();
      this.samples++;
    } else if (tag === EXEMPLARS_TAG) {
      cursor.at = cursor.contentEnd();
      this.exemplars++;
    } else if (tag === METADATA_TAG) {
      const outerEnd = cursor.enter();
      this.#readMetadata(cursor);
      cursor.leave(outerEnd);
    } else if (tag === CREATED_TIMESTAMP_TAG) {
      this.created = cursor.int64();
    } else {
      skipUnknown(
        cursor,
        tag,
        'TimeSeries',
        SAMPLES_TAG,
        HISTOGRAMS_TAG,
        EXEMPLARS_TAG,
        METADATA_TAG,
      );
    }
  }

  /** A message that comes twice is merged, as everywhere in protobuf. */
  #readMetadata(cursor: FieldCursor): void {
    this.hasMetadata = true;
    while (cursor.at < cursor.end) {
      const tag = cursor.tag();
      if (tag === TYPE_TAG) {
        const type = cursor.int64();
        this.type = type >= 0 && type <= TYPE_MAX ? type : 0;
      } else if (tag === HELP_REF_TAG) {
        this.help = cursor.uint32();
      } else if (tag === UNIT_REF_TAG) {
        this.unit = cursor.uint32();
      } else {
        skipUnknown(cursor, tag, 'Metadata', TYPE_TAG, HELP_REF_TAG, UNIT_REF_TAG);
      }
    }
  }
}

import { ByteWriter, DecodeError } from '../bytes.ts';
import { FIXED64, FieldCursor, LEN, VARINT } from '../field-cursor.ts';
import { formatLabelSet } from '../label-set.ts';
import { References, RequestSymbols } from './request-symbols.ts';
import {
  EXEMPLARS_TAG,
  HISTOGRAMS_TAG,
  LABELS_REFS,
  SAMPLES_TAG,
  SeriesOutline,
} from './series-outline.ts';
import { skipUnknown, type WriteRequestSink, walkSample } from './walker-1.ts';

// Walks a remote write 2.0 request without building an object per message. version-2.proto says:
//
//   message Request {
//     repeated string symbols = 4;
//     repeated TimeSeries timeseries = 5;
//   }
//   message Exemplar { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
//
// Its TimeSeries is in series-outline.ts.

const SYMBOLS_TAG = (4 << 3) | LEN;
const TIMESERIES_TAG = (5 << 3) | LEN;
/** prometheus.WriteRequest: timeseries = 1, metadata = 3. */
const VERSION_1_TIMESERIES_TAG = (1 << 3) | LEN;
const VERSION_1_METADATA_TAG = (3 << 3) | LEN;
const EXEMPLAR_VALUE_TAG = (2 << 3) | FIXED64;
const EXEMPLAR_TIMESTAMP_TAG = (3 << 3) | VARINT;
/** MetricMetadata of version 1.0; the types are numbered alike. */
const MetadataOut = { type: 0x08, family: 0x12, help: 0x22, unit: 0x2a };

/** A sink for requests of which parts may be unreadable while the rest is good. */
export interface PartialWriteSink extends WriteRequestSink {
  /**
   * A series that cannot be read, in place of `series`: what follows belongs to none.
   *
   * @param message what is wrong, and with which series
   * @param samples floats and histograms that follow
   */
  malformedSeries(message: string, samples: number): void;
  /** An exemplar of the current series that cannot be read. */
  malformedExemplar(message: string): void;
}

/** Walks requests of version 2.0; holds the scratch that they share. */
export class PartialWriteWalker {
  readonly #symbols = new RequestSymbols();
  readonly #outline = new SeriesOutline();
  readonly #exemplarReferences = new References();
  readonly #labels = new ByteWriter();
  readonly #exemplar = new ByteWriter();
  readonly #metadata = new ByteWriter();
  /** Name, type, help and unit of the metadata before: series of one metric come together. */
  readonly #previous = { name: -1, type: -1, help: -1, unit: -1 };

  /**
   * Walks the io.prometheus.write.v2.Request in the first `length` bytes. Fields may stand in any
   * order, symbols behind the series too; unknown ones are passed over.
   *
   * What it hands over is in the form of version 1.0, histograms as they stand. To this message a
   * request of version 1.0 looks empty, and a 2xx would lose it silently: so it is refused.
   *
   * @throws DecodeError naming the place; the sink has then seen what stands before
   */
  walk(bytes: Uint8Array, length: number, sink: PartialWriteSink): void {
    this.#collectSymbols(bytes, length);
    this.#previous.name = -1;
    const cursor = new FieldCursor(bytes, 0, length);
    while (cursor.at < length) {
      const tag = cursor.tag();
      if (tag === TIMESERIES_TAG) {
        const outerEnd = cursor.enter();
        this.#walkSeries(cursor, sink);
        cursor.leave(outerEnd);
      } else {
        cursor.skip(tag);
      }
    }
  }

  #collectSymbols(bytes: Uint8Array, length: number): void {
    this.#symbols.begin(bytes);
    const cursor = new FieldCursor(bytes, 0, length);
    let hasKnown = false;
    let hasVersion1 = false;
    while (cursor.at < length) {
      const tag = cursor.tag();
      hasKnown ||= tag === SYMBOLS_TAG || tag === TIMESERIES_TAG;
      hasVersion1 ||= tag === VERSION_1_TIMESERIES_TAG || tag === VERSION_1_METADATA_TAG;
      if (tag === SYMBOLS_TAG) {
        const to = cursor.contentEnd();
        this.#symbols.add(cursor.at, to);
        cursor.at = to;
      } else if (tag === TIMESERIES_TAG) {
        cursor.at = cursor.contentEnd();
      } else {
        skipUnknown(cursor, tag, 'Request', SYMBOLS_TAG, TIMESERIES_TAG);
      }
    }
    if (hasVersion1 && !hasKnown) {
      throw new DecodeError('a remote write 1.0 message under the content type of 2.0');
    }
  }

  /** Two passes, since samples may stand before the labels they belong to. */
  #walkSeries(cursor: FieldCursor, sink: PartialWriteSink): void {
    const from = cursor.at;
    const outline = this.#outline;
    outline.read(cursor);
    const problem = this.#problem();
    if (problem !== undefined) {
      sink.malformedSeries(problem, outline.samples);
    } else if (outline.samples + outline.exemplars > 0) {
      const labels = this.#writeLabels();
      sink.series(labels, 0, this.#labels.length, outline.samples);
    }
    cursor.at = from;
    this.#walkContent(cursor, sink);
    if (problem === undefined && outline.hasMetadata) this.#handMetadata(sink);
  }

  /** The labels of the series, the first `#labels.length` bytes of what it returns. */
  #writeLabels(): Uint8Array {
    this.#labels.clear();
    this.#symbols.writeLabels(this.#outline.references, this.#labels);
    return this.#labels.bytes;
  }

  /** What makes the series unreadable, in Prometheus' words. */
  #problem(): string | undefined {
    const { references, samples, exemplars, hasMetadata, help, unit } = this.#outline;
    const labels = this.#symbols.problemOf(references);
    if (labels !== undefined) return `parsing labels for series ${references}: ${labels}`;
    const outside = this.#symbols.outside();
    if (hasMetadata && !this.#symbols.has(help) && help > 0) {
      return `parsing metadata for series ${references}: metadata help_ref ${help} ${outside}`;
    }
    if (hasMetadata && !this.#symbols.has(unit) && unit > 0) {
      return `parsing metadata for series ${references}: metadata unit_ref ${unit} ${outside}`;
    }
    if (samples + exemplars > 0 || hasMetadata) return undefined;
    const series = formatLabelSet(this.#writeLabels(), 0, this.#labels.length);
    return `TimeSeries must contain at least one sample or histogram for series ${series}`;
  }

  /** Hands what is in [cursor.at, cursor.end) over; the first pass has checked the fields. */
  #walkContent(cursor: FieldCursor, sink: PartialWriteSink): void {
    const { created } = this.#outline;
    while (cursor.at < cursor.end) {
      const tag = cursor.tag();
      if (tag === SAMPLES_TAG) {
        const outerEnd = cursor.enter();
        walkSample(cursor, sink, created);
        cursor.leave(outerEnd);
      } else if (tag === HISTOGRAMS_TAG) {
        const to = cursor.contentEnd();
        sink.histogram(cursor.bytes, cursor.at, to, created);
        cursor.at = to;
      } else if (tag === EXEMPLARS_TAG) {
        const outerEnd = cursor.enter();
        this.#walkExemplar(cursor, sink);
        cursor.leave(outerEnd);
      } else {
        cursor.skip(tag);
      }
    }
  }

  #walkExemplar(cursor: FieldCursor, sink: PartialWriteSink): void {
    const references = this.#exemplarReferences;
    references.clear();
    let valueAt = -1;
    let timestampAt = -1;
    let timestampTo = -1;
    while (cursor.at < cursor.end) {
      const tag = cursor.tag();
      if (tag >>> 3 === LABELS_REFS) {
        references.read(cursor, tag);
      } else if (tag === EXEMPLAR_VALUE_TAG) {
        valueAt = cursor.take(8);
      } else if (tag === EXEMPLAR_TIMESTAMP_TAG) {
        timestampAt = cursor.at;
        cursor.int64();
        timestampTo = cursor.at;
      } else {
        skipUnknown(cursor, tag, 'Exemplar', EXEMPLAR_VALUE_TAG, EXEMPLAR_TIMESTAMP_TAG);
      }
    }
    const problem = this.#symbols.problemOf(references);
    if (problem !== undefined) {
      sink.malformedExemplar(problem);
      return;
    }
    const writer = this.#exemplar;
    writer.clear();
    this.#symbols.writeLabels(references, writer);
    if (valueAt >= 0) {
      writer.byte(EXEMPLAR_VALUE_TAG);
      writer.raw(cursor.bytes, valueAt, valueAt + 8);
    }
    if (timestampAt >= 0) {
      writer.byte(EXEMPLAR_TIMESTAMP_TAG);
      writer.raw(cursor.bytes, timestampAt, timestampTo);
    }
    sink.exemplar(writer.bytes, 0, writer.length);
  }

  /** Metadata of a series names no family: as in Cortex, that is the full name of the series. */
  #handMetadata(sink: PartialWriteSink): void {
    const symbols = this.#symbols;
    const { type, help, unit, references } = this.#outline;
    const hasHelp = symbols.has(help) && symbols.bytesOf(help) > 0;
    const hasUnit = symbols.has(unit) && symbols.bytesOf(unit) > 0;
    if (type === 0 && !hasHelp && !hasUnit) return;
    const name = symbols.metricNameOf(references);
    const previous = this.#previous;
    const isAsBefore = previous.name === name && previous.type === type;
    if (isAsBefore && previous.help === help && previous.unit === unit) return;
    Object.assign(previous, { name: name ?? -1, type, help, unit });
    const writer = this.#metadata;
    writer.clear();
    if (type !== 0) {
      writer.byte(MetadataOut.type);
      writer.varint(type);
    }
    if (name !== undefined) symbols.writeText(MetadataOut.family, name, writer);
    if (hasHelp) symbols.writeText(MetadataOut.help, help, writer);
    if (hasUnit) symbols.writeText(MetadataOut.unit, unit, writer);
    sink.metadata(writer.bytes, 0, writer.length);
  }
}

import { DecodeError } from '../../proto/bytes.ts';
import { EXEMPLAR_BYTES_MAX, type Exemplar, readExemplar } from '../../proto/objects/exemplar.ts';
import {
  HISTOGRAM_BYTES_MAX,
  type Histogram,
  readHistogram,
} from '../../proto/objects/histogram.ts';
import { HistogramCheck } from '../../proto/objects/histogram-check.ts';
import { reduceHistogram } from '../../proto/objects/histogram-reduction.ts';
import type { PartialWriteSink } from '../../proto/remote-write/walker-2.ts';
import { type RowObject, SampleColumns } from '../../proto/sample-columns.ts';
import { DROPPED, FULL, REFUSED, type SeriesLookup } from '../../proto/series-lookup.ts';
import type { Received } from './answers.ts';
import { DroppedCounts } from './dropped-counts.ts';
import { Refusals } from './refusals.ts';

/** As many as 32 MiB hold of real ones; empty ones take two bytes there, and 64 in memory. */
const ROWS_MAX = 4_000_000;
/** Native histograms and exemplars: likewise. */
const OBJECTS_MAX = 250_000;
/** On this thread, and once more on the way to the other. */
const ROW_MEMORY_BYTES = 64;
const OBJECT_MEMORY_BYTES = 800;

/** Why an exemplar is not stored; label values of `starferry_agent_left_out_exemplars_total`. */
export type LeftOutReason =
  | 'too_large'
  | 'timestamp_out_of_range'
  | 'no_labels'
  | 'no_timestamp'
  | 'labels_too_long';

/** Requests are walked one after the other, without waiting: one serves all. */
const histogramCheck = new HistogramCheck();

/** What one write request of a tenant holds, gathered while it is walked. */
export class ParsedRequest implements PartialWriteSink {
  readonly columns: SampleColumns;
  readonly refusals = new Refusals();
  /** Among the rows of `columns`; floats are the rest. */
  histograms = 0;
  exemplars = 0;
  /** Exemplars that no destination would take; their samples are stored. */
  readonly exemplarsLeftOut = new Map<LeftOutReason, number>();
  /** Metadata records that could not be noted; samples do not depend on them. */
  metadataLeftOut = 0;
  /** What filters have dropped, by rule and by kind. */
  readonly dropped = new DroppedCounts();
  readonly filtered: Received = { samples: 0, histograms: 0, exemplars: 0 };
  /** A series is new and the dictionary cannot take it. */
  isDictionaryFull = false;
  #objectBytes = 0;
  readonly #lookup: SeriesLookup;
  readonly #tenant: number;
  readonly #newestMs: number;
  readonly #exemplarLabelLengthMax: number;
  /** Id of the series being walked, or REFUSED or FULL. */
  #id = REFUSED;
  /** Labels of the series being walked. */
  #labels: Uint8Array = new Uint8Array(0);
  #labelsFrom = 0;
  #labelsTo = 0;

  /**
   * @param capacity how many samples it will have, more or less
   * @param newestMs later timestamps are refused
   * @param exemplarLabelLengthMax in characters; 0: exemplars are not judged
   */
  constructor(
    lookup: SeriesLookup,
    tenant: number,
    {
      capacity,
      newestMs,
      exemplarLabelLengthMax,
    }: { capacity: number; newestMs: number; exemplarLabelLengthMax: number },
  ) {
    this.#lookup = lookup;
    this.#tenant = tenant;
    this.#newestMs = newestMs;
    this.#exemplarLabelLengthMax = exemplarLabelLengthMax;
    this.columns = new SampleColumns(capacity);
  }

  /** What its samples take until they are stored, about. */
  get memoryBytes(): number {
    const { count, objects } = this.columns;
    return count * ROW_MEMORY_BYTES + objects.length * OBJECT_MEMORY_BYTES + this.#objectBytes;
  }

  series(bytes: Uint8Array, from: number, to: number, samples: number): void {
    this.#labels = bytes;
    this.#labelsFrom = from;
    this.#labelsTo = to;
    this.#id = this.#lookup.resolve(this.#tenant, bytes, from, to);
    if (this.#id === FULL) this.isDictionaryFull = true;
    else if (this.#id === REFUSED) {
      this.refusals.addSeries(this.#lookup.lastRefusal, samples, bytes, from, to);
    } else if (this.#id <= DROPPED) this.dropped.add(DROPPED - this.#id, samples, to - from);
  }

  sample(timestamp: number, bitsLow: number, bitsHigh: number, startTimestamp: number): void {
    if (this.#id <= DROPPED) this.filtered.samples++;
    if (this.#id < 0 || !this.#isTimely(timestamp)) return;
    if (this.columns.count === ROWS_MAX) throw new DecodeError(`more than ${ROWS_MAX} samples`);
    this.columns.push(this.#id, timestamp, bitsLow, bitsHigh);
    this.#setStart(startTimestamp);
  }

  /** Of a refused series too, bytes that are no protobuf spoil the request, as in Prometheus. */
  histogram(bytes: Uint8Array, from: number, to: number, startTimestamp: number): void {
    const problem =
      to - from > HISTOGRAM_BYTES_MAX
        ? `a native histogram of ${to - from} bytes, over the limit of ${HISTOGRAM_BYTES_MAX}`
        : histogramCheck.problemOf(bytes, from, to);
    if (this.#id <= DROPPED) {
      this.filtered.samples++;
      this.filtered.histograms++;
    }
    if (this.#id < 0) return;
    if (problem !== undefined) {
      this.refusals.addHistogram(problem, this.#labels, this.#labelsFrom, this.#labelsTo);
      return;
    }
    const histogram = readReduced(bytes, from, to);
    if (!this.#isTimely(histogram.timestamp)) return;
    this.#pushObject('histogram', histogram);
    this.#setStart(histogram.startTimestamp === 0 ? startTimestamp : histogram.startTimestamp);
    this.histograms++;
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    const exemplar = to - from > EXEMPLAR_BYTES_MAX ? undefined : readExemplar(bytes, from, to);
    if (this.#id <= DROPPED) this.filtered.exemplars++;
    if (this.#id < 0) return;
    const reason = exemplar === undefined ? 'too_large' : this.#leftOut(exemplar);
    if (reason !== undefined) {
      this.exemplarsLeftOut.set(reason, (this.exemplarsLeftOut.get(reason) ?? 0) + 1);
    } else if (exemplar !== undefined) {
      this.#pushObject('exemplar', exemplar);
      this.exemplars++;
    }
  }

  malformedSeries(message: string, samples: number): void {
    this.#id = REFUSED;
    this.refusals.addMalformedSeries(message, samples);
  }

  malformedExemplar(message: string): void {
    if (this.#id < 0) return;
    this.refusals.addExemplar(message, this.#labels, this.#labelsFrom, this.#labelsTo);
  }

  metadata(bytes: Uint8Array, from: number, to: number): void {
    if (this.#lookup.noteMetadata(this.#tenant, bytes, from, to) < 0) this.metadataLeftOut++;
  }

  /** Cortex refuses such an exemplar (ValidateExemplar), Prometheus drops it without a word. */
  #leftOut({ timestamp, labels, labelLength }: Exemplar): LeftOutReason | undefined {
    if (Number.isNaN(timestamp)) return 'timestamp_out_of_range';
    const lengthMax = this.#exemplarLabelLengthMax;
    if (lengthMax === 0) return undefined;
    if (labels === 0) return 'no_labels';
    if (timestamp === 0) return 'no_timestamp';
    return labelLength > lengthMax ? 'labels_too_long' : undefined;
  }

  #pushObject(kind: RowObject['kind'], { timestamp, bytes }: Exemplar | Histogram): void {
    if (this.columns.objects.length === OBJECTS_MAX) {
      throw new DecodeError(`more than ${OBJECTS_MAX} native histograms and exemplars`);
    }
    this.columns.pushObject(kind, this.#id, timestamp, bytes);
    this.#objectBytes += 2 * bytes.length;
  }

  /** A start that no double holds is as good as none: it only helps rates. */
  #setStart(startTimestamp: number): void {
    if (startTimestamp === 0 || Number.isNaN(startTimestamp)) return;
    this.columns.setStart(this.columns.count - 1, startTimestamp);
  }

  /** Whether a timestamp can be kept; says so if not. NaN is not. */
  #isTimely(timestamp: number): boolean {
    if (timestamp <= this.#newestMs) return true;
    const reason = Number.isNaN(timestamp) ? 'timestamp_out_of_range' : 'timestamp_in_future';
    this.refusals.addTimestamp(reason, this.#labels, this.#labelsFrom, this.#labelsTo);
    return false;
  }
}

/** The histogram that was judged last, in a schema that every receiver takes. */
function readReduced(bytes: Uint8Array, from: number, to: number): Histogram {
  if (!histogramCheck.isReducible) return readHistogram(bytes, from, to);
  const reduced = reduceHistogram(histogramCheck.content, bytes, from, to);
  return readHistogram(reduced, 0, reduced.length);
}

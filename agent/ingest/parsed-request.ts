import { EXEMPLAR_BYTES_MAX, readExemplar } from '../../proto/objects/exemplar.ts';
import {
  HISTOGRAM_BYTES_MAX,
  type Histogram,
  readHistogram,
} from '../../proto/objects/histogram.ts';
import { HistogramCheck } from '../../proto/objects/histogram-check.ts';
import { reduceHistogram } from '../../proto/objects/histogram-reduction.ts';
import type { PartialWriteSink } from '../../proto/remote-write-2-in.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { DROPPED, FULL, REFUSED, type SeriesLookup } from '../../proto/series-lookup.ts';
import type { Received } from './answers.ts';
import { DroppedCounts } from './dropped-counts.ts';
import { Refusals } from './refusals.ts';

/** Requests are walked one after the other, without waiting: one serves all. */
const histogramCheck = new HistogramCheck();

/** What one write request of a tenant holds, gathered while it is walked. */
export class ParsedRequest implements PartialWriteSink {
  readonly columns: SampleColumns;
  readonly refusals = new Refusals();
  /** Among the rows of `columns`; floats are the rest. */
  histograms = 0;
  exemplars = 0;
  /** Exemplars too large or without a usable time; no sample depends on them. */
  exemplarsLeftOut = 0;
  /** Metadata records that could not be noted; samples do not depend on them. */
  metadataLeftOut = 0;
  /** What filters have dropped, by rule and by kind. */
  readonly dropped = new DroppedCounts();
  readonly filtered: Received = { samples: 0, histograms: 0, exemplars: 0 };
  /** A series is new and the dictionary cannot take it. */
  isDictionaryFull = false;
  readonly #lookup: SeriesLookup;
  readonly #tenant: number;
  readonly #newestMs: number;
  /** Id of the series being walked, or REFUSED or FULL. */
  #id = REFUSED;
  /** Labels of the series being walked. */
  #labels: Uint8Array = new Uint8Array(0);
  #labelsFrom = 0;
  #labelsTo = 0;

  /**
   * @param capacity how many samples it will have, more or less
   * @param newestMs later timestamps are refused
   */
  constructor(
    lookup: SeriesLookup,
    tenant: number,
    { capacity, newestMs }: { capacity: number; newestMs: number },
  ) {
    this.#lookup = lookup;
    this.#tenant = tenant;
    this.#newestMs = newestMs;
    this.columns = new SampleColumns(capacity);
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
    this.columns.pushObject('histogram', this.#id, histogram.timestamp, histogram.bytes);
    this.#setStart(histogram.startTimestamp === 0 ? startTimestamp : histogram.startTimestamp);
    this.histograms++;
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    const exemplar = to - from > EXEMPLAR_BYTES_MAX ? undefined : readExemplar(bytes, from, to);
    if (this.#id <= DROPPED) this.filtered.exemplars++;
    if (this.#id < 0) return;
    if (exemplar === undefined || Number.isNaN(exemplar.timestamp)) {
      this.exemplarsLeftOut++;
      return;
    }
    this.columns.pushObject('exemplar', this.#id, exemplar.timestamp, exemplar.bytes);
    this.exemplars++;
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

import { EXEMPLAR_BYTES_MAX, readExemplar } from '../../proto/objects/exemplar.ts';
import { HISTOGRAM_BYTES_MAX, readHistogram } from '../../proto/objects/histogram.ts';
import type { WriteRequestSink } from '../../proto/remote-write-in.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { DROPPED, FULL, REFUSED, type SeriesLookup } from '../../proto/series-lookup.ts';
import { DroppedCounts } from './dropped-counts.ts';
import { Refusals } from './refusals.ts';

/** What one write request of a tenant holds, gathered while it is walked. */
export class ParsedRequest implements WriteRequestSink {
  readonly columns: SampleColumns;
  readonly refusals = new Refusals();
  /** Among the rows of `columns`; floats are the rest. */
  histograms = 0;
  exemplars = 0;
  /** Exemplars too large or without a usable time; no sample depends on them. */
  exemplarsLeftOut = 0;
  /** Metadata records that could not be noted; samples do not depend on them. */
  metadataLeftOut = 0;
  /** What filters have dropped, by rule. */
  readonly dropped = new DroppedCounts();
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
    if (this.#id < 0 || !this.#isTimely(timestamp)) return;
    this.columns.push(this.#id, timestamp, bitsLow, bitsHigh);
    this.#setStart(startTimestamp);
  }

  histogram(bytes: Uint8Array, from: number, to: number): void {
    if (this.#id < 0) return;
    if (to - from > HISTOGRAM_BYTES_MAX) {
      const what = `a native histogram of ${to - from} bytes, over the limit of ${HISTOGRAM_BYTES_MAX}`;
      this.refusals.addHistogram(what, this.#labels, this.#labelsFrom, this.#labelsTo);
      return;
    }
    const histogram = readHistogram(bytes, from, to);
    if (!this.#isTimely(histogram.timestamp)) return;
    this.columns.pushObject('histogram', this.#id, histogram.timestamp, histogram.bytes);
    this.#setStart(histogram.startTimestamp);
    this.histograms++;
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    if (this.#id < 0) return;
    const exemplar = to - from > EXEMPLAR_BYTES_MAX ? undefined : readExemplar(bytes, from, to);
    if (exemplar === undefined || Number.isNaN(exemplar.timestamp)) {
      this.exemplarsLeftOut++;
      return;
    }
    this.columns.pushObject('exemplar', this.#id, exemplar.timestamp, exemplar.bytes);
    this.exemplars++;
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

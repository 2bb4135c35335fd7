import type { UnsupportedKind, WriteRequestSink } from '../../proto/remote-write-in.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { FULL, REFUSED, type SeriesLookup } from '../../proto/series-lookup.ts';
import { Refusals } from './refusals.ts';

/** What one write request of a tenant holds, gathered while it is walked. */
export class ParsedRequest implements WriteRequestSink {
  readonly columns: SampleColumns;
  readonly refusals = new Refusals();
  /** Native histograms and exemplars, which are not carried yet. */
  readonly leftOut: Record<UnsupportedKind, number> = { histogram: 0, exemplar: 0 };
  /** Metadata records that could not be noted; samples do not depend on them. */
  metadataLeftOut = 0;
  /** A series is new and the dictionary cannot take it. */
  isDictionaryFull = false;
  readonly #lookup: SeriesLookup;
  readonly #tenant: number;
  /** Id of the series being walked, or REFUSED or FULL. */
  #id = REFUSED;
  /** Labels of the series being walked. */
  #labels: Uint8Array = new Uint8Array(0);
  #labelsFrom = 0;
  #labelsTo = 0;

  constructor(lookup: SeriesLookup, tenant: number, capacity: number) {
    this.#lookup = lookup;
    this.#tenant = tenant;
    this.columns = new SampleColumns(capacity);
  }

  series(bytes: Uint8Array, from: number, to: number, samples: number): void {
    this.#labels = bytes;
    this.#labelsFrom = from;
    this.#labelsTo = to;
    this.#id = this.#lookup.resolve(this.#tenant, this.#id, bytes, from, to);
    if (this.#id === FULL) this.isDictionaryFull = true;
    else if (this.#id === REFUSED) {
      this.refusals.addSeries(this.#lookup.lastRefusal, samples, bytes, from, to);
    }
  }

  sample(timestamp: number, bitsLow: number, bitsHigh: number): void {
    if (this.#id < 0) return;
    if (Number.isNaN(timestamp)) {
      this.refusals.addTimestamp(this.#labels, this.#labelsFrom, this.#labelsTo);
    } else {
      this.columns.push(this.#id, timestamp, bitsLow, bitsHigh);
    }
  }

  metadata(bytes: Uint8Array, from: number, to: number): void {
    if (this.#lookup.noteMetadata(this.#tenant, bytes, from, to) < 0) this.metadataLeftOut++;
  }

  unsupported(kind: UnsupportedKind): void {
    this.leftOut[kind]++;
  }
}

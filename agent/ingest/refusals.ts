import {
  formatLabelSet,
  LABEL_SET_BYTES_MAX,
  type LabelSetRefusal,
} from '../../proto/label-set.ts';
import type { LimitRefusal, Refusal } from '../../proto/series-lookup.ts';

type TimestampRefusal = 'timestamp_out_of_range' | 'timestamp_in_future';

/** Label values of `starferry_agent_refused_samples_total`. */
export type RefusedReason = LabelSetRefusal | LimitRefusal | TimestampRefusal | 'histogram';

const TIMESTAMP_LIMITS: Record<TimestampRefusal, string> = {
  timestamp_out_of_range: 'beyond ±2^53 ms',
  timestamp_in_future: 'further in the future than limits.creation_grace_period',
};

/** As much of a label set as a message shows. */
const SHOWN_CHARS_MAX = 500;

/** What of one request was refused, while the rest is stored. */
export class Refusals {
  readonly samples = new Map<RefusedReason, number>();
  #series = 0;
  #firstSeries = '';
  readonly #timestamps = new Map<TimestampRefusal, string>();
  #histograms = 0;
  #firstHistogram = '';

  get isEmpty(): boolean {
    return this.samples.size === 0;
  }

  /** The series with the labels in bytes [from, to), and with it `samples` samples. */
  addSeries(refusal: Refusal, samples: number, bytes: Uint8Array, from: number, to: number): void {
    if (this.#series === 0) this.#firstSeries = describeRefusal(refusal, bytes, from, to);
    this.#series++;
    this.#count(refusal.reason, samples);
  }

  /** A sample of the series with the labels in bytes [from, to). */
  addTimestamp(reason: TimestampRefusal, bytes: Uint8Array, from: number, to: number): void {
    if (!this.samples.has(reason)) this.#timestamps.set(reason, shownLabels(bytes, from, to));
    this.#count(reason, 1);
  }

  /** A native histogram of the series with the labels in bytes [from, to). */
  addHistogram(what: string, bytes: Uint8Array, from: number, to: number): void {
    if (this.#histograms === 0) this.#firstHistogram = `${what} in ${shownLabels(bytes, from, to)}`;
    this.#histograms++;
    this.#count('histogram', 1);
  }

  /** For the sender's log: how many there were, and the first one. */
  message(): string {
    const parts: string[] = [];
    if (this.#series > 0) {
      parts.push(`${this.#series} series refused, the first: ${this.#firstSeries}`);
    }
    for (const [reason, first] of this.#timestamps) {
      const count = this.samples.get(reason)!;
      const what = `${count} samples with a timestamp ${TIMESTAMP_LIMITS[reason]}`;
      parts.push(`${what} refused, the first in ${first}`);
    }
    if (this.#histograms > 0) {
      parts.push(`${this.#histograms} histograms refused, the first: ${this.#firstHistogram}`);
    }
    return `${parts.join('; ')}; everything else is stored`;
  }

  #count(reason: RefusedReason, samples: number): void {
    this.samples.set(reason, (this.samples.get(reason) ?? 0) + samples);
  }
}

function describeRefusal(refusal: Refusal, bytes: Uint8Array, from: number, to: number): string {
  const { reason, label = '', detail = '' } = refusal;
  switch (reason) {
    case 'no_labels':
      return 'a series without labels';
    case 'no_metric_name':
      return `no metric name in ${shownLabels(bytes, from, to)}`;
    case 'duplicate_label':
      return `label ${shown(label)} twice in ${shownLabels(bytes, from, to)}`;
    case 'invalid_name':
      return `label name ${shown(JSON.stringify(label))} in ${shownLabels(bytes, from, to)}`;
    case 'too_large':
      return `labels of ${to - from} bytes, over the limit of ${LABEL_SET_BYTES_MAX}`;
    case 'malformed':
      return 'labels that are no protobuf';
    case 'too_many_labels':
    case 'label_name_too_long':
    case 'label_value_too_long':
    case 'name_scheme':
    case 'too_many_series':
      return `${shown(detail)} in ${shownLabels(bytes, from, to)}`;
  }
}

function shownLabels(bytes: Uint8Array, from: number, to: number): string {
  return shown(formatLabelSet(bytes, from, to));
}

function shown(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}...`;
}

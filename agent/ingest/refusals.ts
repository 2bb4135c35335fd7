import {
  formatLabelSet,
  formatLabelSetStart,
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
/** As much as a list of all refusals shows; Prometheus logs 1024 bytes of it. */
const LIST_CHARS_MAX = 8192;

const NOUNS = {
  series: 'series refused',
  timestamp: 'samples refused by their timestamp',
  histogram: 'histograms refused',
  exemplar: 'exemplars refused',
};

/** What of one request was refused, while the rest is stored. */
export class Refusals {
  readonly samples = new Map<RefusedReason, number>();
  /** How many there were of a kind, and the first. */
  readonly #kinds = new Map<keyof typeof NOUNS, { count: number; first: string }>();
  readonly #list: string[] = [];
  #listChars = 0;
  #unlisted = 0;

  get isEmpty(): boolean {
    return this.#kinds.size === 0;
  }

  /** The series with the labels in bytes [from, to), and with it `samples` samples. */
  addSeries(refusal: Refusal, samples: number, bytes: Uint8Array, from: number, to: number): void {
    this.#add('series', () => describeRefusal(refusal, bytes, from, to));
    this.#count(refusal.reason, samples);
  }

  /** A series that cannot be read, and with it `samples` samples. */
  addMalformedSeries(what: string, samples: number): void {
    this.#add('series', () => shown(what));
    this.#count('malformed', samples);
  }

  /** A sample of the series with the labels in bytes [from, to). */
  addTimestamp(reason: TimestampRefusal, bytes: Uint8Array, from: number, to: number): void {
    const what = `timestamp ${TIMESTAMP_LIMITS[reason]} for series`;
    this.#add('timestamp', () => `${what} ${shownLabels(bytes, from, to)}`);
    this.#count(reason, 1);
  }

  /** A native histogram of the series with the labels in bytes [from, to). */
  addHistogram(what: string, bytes: Uint8Array, from: number, to: number): void {
    this.#add('histogram', () => `${what} for series ${shownLabels(bytes, from, to)}`);
    this.#count('histogram', 1);
  }

  /** An exemplar of the series with the labels in bytes [from, to). */
  addExemplar(what: string, bytes: Uint8Array, from: number, to: number): void {
    this.#add(
      'exemplar',
      () => `parsing exemplar for series ${shownLabels(bytes, from, to)}: ${what}`,
    );
  }

  /** For the sender's log: how many there were of each kind, and the first one. */
  summary(): string {
    const parts = Array.from(
      this.#kinds,
      ([kind, { count, first }]) => `${count} ${NOUNS[kind]}, the first: ${first}`,
    );
    return `${parts.join('; ')}; everything else is stored`;
  }

  /** Each one in a line, as senders of version 2.0 are told, within bounds. */
  list(): string {
    const more = this.#unlisted === 0 ? [] : [`and ${this.#unlisted} more`];
    return [...this.#list, ...more].join('\n');
  }

  /** A message is only made where it will be shown. */
  #add(kind: keyof typeof NOUNS, describe: () => string): void {
    const same = this.#kinds.get(kind);
    const hasRoom = this.#listChars < LIST_CHARS_MAX;
    const text = same === undefined || hasRoom ? describe() : '';
    if (same === undefined) this.#kinds.set(kind, { count: 1, first: text });
    else same.count++;
    if (hasRoom) this.#list.push(text);
    else this.#unlisted++;
    this.#listChars += text.length;
  }

  #count(reason: RefusedReason, samples: number): void {
    this.samples.set(reason, (this.samples.get(reason) ?? 0) + samples);
  }
}

/** Where Prometheus refuses the same, in its words. */
function describeRefusal(refusal: Refusal, bytes: Uint8Array, from: number, to: number): string {
  const { reason, label = '', detail = '' } = refusal;
  const invalid = 'invalid metric name or labels, got';
  // A limit, or rules of the agent: nothing that Prometheus would know.
  if (detail !== '') return `${shown(detail)} in ${shownLabels(bytes, from, to)}`;
  switch (reason) {
    case 'no_labels':
      return `${invalid} {}`;
    case 'no_metric_name':
      return `${invalid} ${shownLabels(bytes, from, to)}`;
    case 'duplicate_label': {
      const where = `invalid labels for series, labels ${shownLabels(bytes, from, to)}`;
      return `${where}, duplicated label ${shown(label)}`;
    }
    case 'invalid_name':
      return `label name ${shown(JSON.stringify(label))} in ${shownLabels(bytes, from, to)}`;
    case 'too_large':
      return (
        `labels of ${to - from} bytes, over the limit of ${LABEL_SET_BYTES_MAX}, ` +
        `in ${shown(formatLabelSetStart(bytes, from, to, SHOWN_CHARS_MAX))}`
      );
    case 'malformed':
      return 'labels that are no protobuf';
    case 'too_many_labels':
    case 'label_name_too_long':
    case 'label_value_too_long':
    case 'name_scheme':
    case 'too_many_series':
      return `${reason} in ${shownLabels(bytes, from, to)}`;
  }
}

function shownLabels(bytes: Uint8Array, from: number, to: number): string {
  return shown(formatLabelSet(bytes, from, to));
}

function shown(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}...`;
}

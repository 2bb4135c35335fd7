import { labelSetString } from '../compare.ts';
import type { DecodedLabel } from '../series-messages.ts';
import type {
  CortexExemplar,
  CortexHistogram,
  CortexMetadata,
  CortexSample,
  CortexSeries,
} from './body.ts';
import type { CortexLimits } from './limits.ts';

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const EXEMPLAR_RUNES_MAX = 128;

export type Labels = readonly DecodedLabel[];

export function seriesName(labels: Labels): string {
  return labelSetString(labels.map(({ name, value }) => [name, value] as const));
}

/** `foo{a="b"}`, and at most 200 characters of it, as Go's %.200q quotes it. */
function quoted(labels: Labels): string {
  const metric = metricName(labels) ?? '';
  const rest = labels.filter(({ name }) => name !== '__name__');
  const pairs = rest.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(', ');
  return quote(pairs === '' ? metric || '{}' : `${metric}{${pairs}}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

export function metricName(labels: Labels): string | undefined {
  return labels.find(({ name }) => name === '__name__')?.value;
}

/**
 * What the distributor says to one TimeSeries entry (prepareSeriesKeys and validateSeries), or
 * undefined. A refusal drops the whole entry, whatever else stands in it.
 */
export function validateSeries(
  { labels, samples, exemplars, histograms }: CortexSeries,
  limits: CortexLimits,
  nowMs: number,
): string | undefined {
  return (
    validateMetricName(labels) ??
    validateLabels(
      labels.filter(({ value }) => value !== ''),
      limits,
    ) ??
    first(samples, (sample) => validateTimestamp(sample, labels, limits, nowMs)) ??
    first(exemplars, (exemplar) => validateExemplar(exemplar, labels)) ??
    first(
      histograms,
      (histogram) =>
        validateTimestamp(histogram, labels, limits, nowMs) ?? validateHistogram(histogram, labels),
    )
  );
}

function first<T>(things: readonly T[], judge: (thing: T) => string | undefined) {
  for (const thing of things) {
    const refusal = judge(thing);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function validateMetricName(labels: Labels): string | undefined {
  const name = metricName(labels);
  if (name === undefined) return 'sample missing metric name';
  return METRIC_NAME.test(name) ? undefined : `sample invalid metric name: ${quote(name)}`;
}

function validateLabels(unsorted: Labels, limits: CortexLimits): string | undefined {
  const { maxLabelNamesPerSeries, maxLabelNameLength, maxLabelValueLength } = limits;
  const labels = unsorted.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  if (labels.length > maxLabelNamesPerSeries) {
    const counts = `(actual: ${labels.length}, limit: ${maxLabelNamesPerSeries})`;
    return `series has too many labels ${counts} series: '${seriesName(labels)}'`;
  }
  let last = '';
  for (const { name, value } of labels) {
    const series = quoted(labels);
    if (!LABEL_NAME.test(name)) return `sample invalid label: ${quote(name)} metric ${series}`;
    if (Buffer.byteLength(name) > maxLabelNameLength) {
      const counts = `(actual: ${Buffer.byteLength(name)}, limit: ${maxLabelNameLength})`;
      return `label name too long for metric ${counts} metric: ${series} label name: ${quote(name)}`;
    }
    if (Buffer.byteLength(value) > maxLabelValueLength) {
      const counts = `(actual: ${Buffer.byteLength(value)}, limit: ${maxLabelValueLength})`;
      const label = `label name: ${quote(name)} label value: ${quote(value)}`;
      return `label value too long for metric ${counts} metric: ${series} ${label}`;
    }
    if (name === last) return `duplicate label name: ${quote(name)} metric ${series}`;
    last = name;
  }
  return undefined;
}

function validateTimestamp(
  { timestamp }: CortexSample,
  labels: Labels,
  limits: CortexLimits,
  nowMs: number,
): string | undefined {
  const metric = `${timestamp} metric: ${quote(metricName(labels) ?? '')}`;
  if (limits.rejectOldSamples && timestamp < nowMs - limits.rejectOldSamplesMaxAgeMs) {
    return `timestamp too old: ${metric}`;
  }
  const isTooNew = timestamp > nowMs + limits.creationGracePeriodMs;
  return isTooNew ? `timestamp too new: ${metric}` : undefined;
}

function validateExemplar(exemplar: CortexExemplar, series: Labels): string | undefined {
  const { labels, timestamp } = exemplar;
  const where = `timestamp: ${timestamp} series: ${seriesName(series)} labels: ${seriesName(labels)}`;
  if (labels.length === 0) return `exemplar missing labels, ${where}`;
  if (timestamp === 0) return `exemplar missing timestamp, ${where}`;
  const runes = labels.reduce(
    (sum, { name, value }) => sum + [...name].length + [...value].length,
    0,
  );
  if (runes <= EXEMPLAR_RUNES_MAX) return undefined;
  return `exemplar combined labelset exceeds ${EXEMPLAR_RUNES_MAX} characters, ${where}`;
}

function validateHistogram(histogram: CortexHistogram, labels: Labels): string | undefined {
  const { schema, isValid } = histogram;
  if (schema !== -53 && (schema < -4 || schema > 8)) {
    const range = 'supported schema from -4 to 8';
    return `invalid native histogram schema ${schema} for metric: ${quoted(labels)}. ${range}`;
  }
  if (isValid) return undefined;
  const cause = 'positive side: spans need 1 buckets, have 2 buckets: histogram spans specify';
  return `invalid native histogram, validation err: ${cause}, metric: ${quoted(labels)}`;
}

/** What the distributor says to one metadata record, which is then dropped alone. */
export function validateMetadata(
  { metricFamilyName, help, unit }: CortexMetadata,
  { maxMetadataLength }: CortexLimits,
): string | undefined {
  if (metricFamilyName === '') return 'metadata missing metric name';
  for (const [kind, text] of Object.entries({
    METRIC_NAME: metricFamilyName,
    HELP: help,
    UNIT: unit,
  })) {
    if (Buffer.byteLength(text) <= maxMetadataLength) continue;
    return `metadata '${kind}' value too long: ${quote(text)} metric ${quote(metricFamilyName)}`;
  }
  return undefined;
}

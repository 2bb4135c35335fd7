import snappy from 'snappyjs';
import { labelSetString, type SampleBits } from './compare.ts';
import { type ExemplarPoint, exemplarPoint } from './exemplars.ts';
import { type HistogramPoint, histogramPoint, staleHistogram } from './histograms.ts';
import { sampleBits } from './remote-read.ts';
import {
  bigintOf,
  type DecodedLabel,
  type DecodedRequestV2,
  type DecodedSeries,
  RequestV2,
  WriteRequest,
} from './series-messages.ts';
import type { Stored } from './stored-series.ts';

const decodedBytesMax = 100 * 1024 * 1024;

export interface WrittenMetadata {
  type: number;
  help: string;
  unit: string;
}

/** One TimeSeries of a remote-write body. */
export interface WrittenTimeSeries {
  /** Canonical (`labelSetString`). */
  series: string;
  samples: SampleBits[];
  histograms: HistogramPoint[];
  exemplars: ExemplarPoint[];
  /** Version 2.0 only. */
  metadata: WrittenMetadata | undefined;
  /** How many fields for a start or creation time are there and not zero; version 2.0 only. */
  startTimestamps: number;
}

export interface WrittenBody {
  version: 1 | 2;
  timeSeries: WrittenTimeSeries[];
  /** Version 1.0 only: metadata travels apart from series. */
  metadataCount: number;
}

/** Decodes a snappy-compressed remote-write body of either version; throws on a damaged one. */
export function decodeWritten(body: Uint8Array, contentType: string): WrittenBody {
  const bytes = snappy.uncompress(body, decodedBytesMax);
  return contentType.includes('io.prometheus.write.v2.Request') ? version2(bytes) : version1(bytes);
}

function version1(bytes: Uint8Array): WrittenBody {
  const { timeseries, metadata } = WriteRequest.decode(bytes) as unknown as {
    timeseries: DecodedSeries[];
    metadata: unknown[];
  };
  const timeSeries = timeseries.map(({ labels, samples, histograms, exemplars }) => ({
    series: notation(labels),
    samples: samples.map(sampleBits),
    histograms: histograms.map(histogramPoint),
    exemplars: exemplars.map(exemplarPoint),
    metadata: undefined,
    startTimestamps: 0,
  }));
  return { version: 1, timeSeries, metadataCount: metadata.length };
}

function version2(bytes: Uint8Array): WrittenBody {
  const { symbols, timeseries } = RequestV2.decode(bytes) as unknown as DecodedRequestV2;
  const labels = (refs: number[]) => labelsOf(symbols, refs);
  const timeSeries = timeseries.map((decoded) => {
    const { labelsRefs, samples, histograms, exemplars, metadata, createdTimestamp } = decoded;
    const startTimes = [...samples, ...histograms].map(({ startTimestamp }) => startTimestamp);
    return {
      series: notation(labels(labelsRefs)),
      samples: samples.map(sampleBits),
      histograms: histograms.map(histogramPoint),
      exemplars: exemplars.map((exemplar) =>
        exemplarPoint({ ...exemplar, labels: labels(exemplar.labelsRefs) }),
      ),
      metadata:
        metadata === null
          ? undefined
          : {
              type: metadata.type,
              help: symbols[metadata.helpRef]!,
              unit: symbols[metadata.unitRef]!,
            },
      startTimestamps: [createdTimestamp, ...startTimes].filter((time) => bigintOf(time) !== 0n)
        .length,
    };
  });
  return { version: 2, timeSeries, metadataCount: 0 };
}

function labelsOf(symbols: string[], refs: number[]): DecodedLabel[] {
  const labels: DecodedLabel[] = [];
  for (let at = 0; at < refs.length; at += 2) {
    const [name, value] = [symbols[refs[at]!], symbols[refs[at + 1]!]];
    if (name === undefined || value === undefined) throw new Error(`no symbols for ${refs}`);
    labels.push({ name, value });
  }
  return labels;
}

function notation(labels: DecodedLabel[]): string {
  return labelSetString(labels.map(({ name, value }) => [name, value] as const));
}

/** What the bodies say with timestamps in [fromMs, toMs], as a store that took them keeps it. */
export function storedFrom(
  bodies: Iterable<WrittenBody>,
  fromMs: number,
  toMs: number,
): Omit<Stored, 'customBuckets'> {
  const stored = { samples: new Map(), histograms: new Map(), exemplars: new Map() };
  const add = <Point extends { timestamp: number }>(
    bySeries: Map<string, Point[]>,
    series: string,
    points: Point[],
  ) => {
    const wanted = points.filter(({ timestamp }) => fromMs <= timestamp && timestamp <= toMs);
    if (wanted.length > 0) bySeries.set(series, [...(bySeries.get(series) ?? []), ...wanted]);
  };
  for (const { timeSeries } of bodies) {
    for (const { series, samples, histograms, exemplars } of timeSeries) {
      const stale = stored.histograms.has(series) ? samples.map(staleHistogram) : [];
      if (stale.every((point) => point === undefined)) add(stored.samples, series, samples);
      else
        add(
          stored.histograms,
          series,
          stale.filter((point) => point !== undefined),
        );
      add(stored.histograms, series, histograms);
      add(stored.exemplars, series, exemplars);
    }
  }
  return stored;
}

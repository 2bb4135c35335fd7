import * as snappy from 'snappyjs';
import { assert } from '../../base/assert.ts';
import { labelSetString, type SampleBits, type SamplesBySeries } from './compare.ts';
import { type HistogramsBySeries, histogramPoint } from './histograms.ts';
import {
  bitsOf,
  type DecodedSample,
  type DecodedSeries,
  millisecondsOf,
  ReadRequest,
  ReadResponse,
} from './series-messages.ts';

const readMsMax = 60_000;

const matcherTypes = { '=': 0, '!=': 1, '=~': 2, '!~': 3 };
const samplesResponse = 0;

/** A matcher as in a PromQL selector, `['job', '=', 'node']`. */
export type Matcher = [name: string, operator: keyof typeof matcherTypes, value: string];

export const everySeries: Matcher[] = [['__name__', '!=', '']];

/** What a server stores in a span of time. */
export interface StoredSeries {
  samples: SamplesBySeries;
  histograms: HistogramsBySeries;
}

/**
 * Every raw sample that a Prometheus holds in [fromMs, toMs], stale markers included: remote read
 * hands out what is stored, where a query would drop markers and align timestamps. `url` is the
 * server's address without a path. Throws when the server does not answer 200.
 */
export async function readAllSamples(
  url: string,
  matchers: Matcher[],
  fromMs: number,
  toMs: number,
): Promise<SamplesBySeries> {
  return (await readAllSeries(url, matchers, fromMs, toMs)).samples;
}

/** As `readAllSamples`, native histograms included; a series that has none is not among them. */
export async function readAllSeries(
  url: string,
  matchers: Matcher[],
  fromMs: number,
  toMs: number,
): Promise<StoredSeries> {
  const response = await fetch(`${url}/api/v1/read`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-protobuf',
      'Content-Encoding': 'snappy',
      'X-Prometheus-Remote-Read-Version': '0.1.0',
    },
    body: readRequest(matchers, fromMs, toMs),
    signal: AbortSignal.timeout(readMsMax),
  });
  const body = new Uint8Array(await response.arrayBuffer());
  assert(response.status === 200, `remote read answered ${response.status}`);
  const decoded = ReadResponse.decode(snappy.uncompress(body)) as unknown as {
    results: { timeseries: DecodedSeries[] }[];
  };
  return storedSeries(decoded.results[0]?.timeseries ?? []);
}

function readRequest(matchers: Matcher[], fromMs: number, toMs: number): Uint8Array<ArrayBuffer> {
  const query = {
    startTimestampMs: fromMs,
    endTimestampMs: toMs,
    matchers: matchers.map(([name, operator, value]) => ({
      type: matcherTypes[operator],
      name,
      value,
    })),
  };
  const request = { queries: [query], acceptedResponseTypes: [samplesResponse] };
  return new Uint8Array(snappy.compress(ReadRequest.encode(request).finish()));
}

function storedSeries(decoded: DecodedSeries[]): StoredSeries {
  const stored: StoredSeries = { samples: new Map(), histograms: new Map() };
  for (const { labels, samples, histograms } of decoded) {
    const series = labelSetString(labels.map(({ name, value }) => [name, value] as const));
    if (samples.length > 0) stored.samples.set(series, samples.map(sampleBits));
    if (histograms.length > 0) stored.histograms.set(series, histograms.map(histogramPoint));
  }
  return stored;
}

export function sampleBits({ value, timestamp }: DecodedSample): SampleBits {
  return { timestamp: millisecondsOf(timestamp), bits: bitsOf(value) };
}

import protobuf from 'protobufjs';
import * as snappy from 'snappyjs';
import { assert } from '../../base/assert.ts';
import { labelSetString, type SamplesBySeries } from './compare.ts';

const readMsMax = 60_000;

/**
 * Field numbers of remote.proto and types.proto of Prometheus. A sample's value is a double
 * there; the same eight bytes read as fixed64 keep the payload of a NaN (the stale marker).
 */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message ReadRequest { repeated Query queries = 1; repeated int32 accepted_response_types = 2; }
  message Query {
    int64 start_timestamp_ms = 1; int64 end_timestamp_ms = 2; repeated LabelMatcher matchers = 3;
  }
  message LabelMatcher { int32 type = 1; string name = 2; string value = 3; }
  message ReadResponse { repeated QueryResult results = 1; }
  message QueryResult { repeated TimeSeries timeseries = 1; }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
  message Label { string name = 1; string value = 2; }
  message Sample { fixed64 value = 1; int64 timestamp = 2; }
`);
const ReadRequest = root.lookupType('ReadRequest');
const ReadResponse = root.lookupType('ReadResponse');

const matcherTypes = { '=': 0, '!=': 1, '=~': 2, '!~': 3 };
const samplesResponse = 0;

/** A matcher as in a PromQL selector, `['job', '=', 'node']`. */
export type Matcher = [name: string, operator: keyof typeof matcherTypes, value: string];

export const everySeries: Matcher[] = [['__name__', '!=', '']];

interface Long {
  low: number;
  high: number;
  toNumber(): number;
}

interface DecodedSeries {
  labels: { name: string; value: string }[];
  samples: { value: Long; timestamp: Long }[];
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
  return new Map(decoded.results[0]?.timeseries.map(seriesEntry));
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

function seriesEntry(series: DecodedSeries): [string, { timestamp: number; bits: bigint }[]] {
  const labels = series.labels.map(({ name, value }) => [name, value] as const);
  const samples = series.samples.map(({ value, timestamp }) => ({
    timestamp: timestamp.toNumber(),
    bits: (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0),
  }));
  return [labelSetString(labels), samples];
}

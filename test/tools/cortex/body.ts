import snappy from 'snappyjs';
import {
  bitsOf,
  type DecodedHistogram,
  type DecodedLabel,
  type DecodedRequestV2,
  type DecodedSample,
  type DecodedSeries,
  millisecondsOf,
  RequestV2,
  root,
  WriteRequest,
} from '../series-messages.ts';

export interface CortexSample {
  timestamp: number;
  /** IEEE 754 bits; of a native histogram those of its sum. */
  bits: bigint;
}

export interface CortexHistogram extends CortexSample {
  schema: number;
  isFloat: boolean;
  /** Of the protobuf message. */
  bytes: number;
  /** Whether bucket counts and spans agree. */
  isValid: boolean;
  /** The same for histograms that are the same. */
  content: string;
}

export interface CortexExemplar extends CortexSample {
  labels: DecodedLabel[];
}

/** One TimeSeries entry of a body, whatever its version. */
export interface CortexSeries {
  labels: DecodedLabel[];
  samples: CortexSample[];
  exemplars: CortexExemplar[];
  histograms: CortexHistogram[];
}

export interface CortexMetadata {
  metricFamilyName: string;
  help: string;
  unit: string;
}

export interface CortexBody {
  version: 1 | 2;
  series: CortexSeries[];
  metadata: CortexMetadata[];
}

const DECODED_BYTES_MAX = 100 * 1024 * 1024;
const Histogram = root.lookupType('Histogram');

/** Decodes a snappy-compressed body; throws on a damaged one. */
export function decodeCortexBody(body: Uint8Array, version: 1 | 2): CortexBody {
  const bytes = snappy.uncompress(body, DECODED_BYTES_MAX);
  if (version === 2) return version2(bytes);
  const { timeseries, metadata } = WriteRequest.decode(bytes) as unknown as {
    timeseries: DecodedSeries[];
    metadata: CortexMetadata[];
  };
  return { version, series: timeseries.map(seriesOf), metadata };
}

function version2(bytes: Uint8Array): CortexBody {
  const { symbols, timeseries } = RequestV2.decode(bytes) as unknown as DecodedRequestV2;
  const labels = (refs: number[]): DecodedLabel[] =>
    Array.from({ length: refs.length / 2 }, (_, at) => ({
      name: symbols[refs[at * 2]!]!,
      value: symbols[refs[at * 2 + 1]!]!,
    }));
  const series = timeseries.map(({ labelsRefs, samples, histograms, exemplars }) =>
    seriesOf({
      labels: labels(labelsRefs),
      samples,
      histograms,
      exemplars: exemplars.map(({ labelsRefs: own, value, timestamp }) => ({
        labels: labels(own),
        value,
        timestamp,
      })),
    }),
  );
  return { version: 2, series, metadata: [] };
}

function seriesOf({ labels, samples, exemplars, histograms }: DecodedSeries): CortexSeries {
  return {
    labels,
    samples: samples.map(sampleOf),
    exemplars: exemplars.map((one) => ({
      ...sampleOf(one),
      labels: one.labels.map(({ name, value }) => ({ name, value })),
    })),
    histograms: histograms.map(histogramOf),
  };
}

function sampleOf({ timestamp, value }: Pick<DecodedSample, 'timestamp' | 'value'>): CortexSample {
  return { timestamp: millisecondsOf(timestamp), bits: bitsOf(value) };
}

function histogramOf(decoded: DecodedHistogram): CortexHistogram {
  const { schema, sum, timestamp, positiveSpans, negativeSpans } = decoded;
  const isFloat = Object.hasOwn(decoded, 'countFloat');
  const { positiveDeltas, negativeDeltas, positiveCounts, negativeCounts } = decoded;
  const [positive, negative] = isFloat
    ? [positiveCounts, negativeCounts]
    : [positiveDeltas, negativeDeltas];
  const width = (spans: { length: number }[]) => spans.reduce((all, { length }) => all + length, 0);
  const bytes = Histogram.encode(decoded).finish();
  return {
    timestamp: millisecondsOf(timestamp),
    bits: bitsOf(sum),
    schema,
    isFloat,
    bytes: bytes.length,
    isValid: width(positiveSpans) === positive.length && width(negativeSpans) === negative.length,
    content: Buffer.from(bytes).toString('base64'),
  };
}

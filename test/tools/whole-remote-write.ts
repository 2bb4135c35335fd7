import protobuf from 'protobufjs';
import snappy from 'snappyjs';

/**
 * Both versions of remote write with all that a body may hold, as protobufjs reads them. Doubles are
 * declared fixed64, the same eight bytes on the wire, and label texts bytes, so that all stays exact.
 */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Request1 { repeated TimeSeries1 timeseries = 1; }
  message TimeSeries1 {
    repeated Label labels = 1;
    repeated Sample samples = 2;
    repeated Exemplar1 exemplars = 3;
    repeated Histogram histograms = 4;
  }
  message Label { bytes name = 1; bytes value = 2; }
  message Exemplar1 { repeated Label labels = 1; fixed64 value = 2; int64 timestamp = 3; }
  message Request2 { repeated bytes symbols = 4; repeated TimeSeries2 timeseries = 5; }
  message TimeSeries2 {
    repeated uint32 labels_refs = 1;
    repeated Sample samples = 2;
    repeated Histogram histograms = 3;
    repeated Exemplar2 exemplars = 4;
  }
  message Exemplar2 { repeated uint32 labels_refs = 1; fixed64 value = 2; int64 timestamp = 3; }
  message Sample { fixed64 value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
  message Histogram {
    uint64 count_int = 1;
    fixed64 sum = 3;
    sint32 schema = 4;
    fixed64 zero_threshold = 5;
    uint64 zero_count_int = 6;
    repeated BucketSpan negative_spans = 8;
    repeated sint64 negative_deltas = 9;
    repeated BucketSpan positive_spans = 11;
    repeated sint64 positive_deltas = 12;
    uint32 reset_hint = 14;
    int64 timestamp = 15;
    repeated fixed64 custom_values = 16;
    int64 start_timestamp = 17;
  }
  message BucketSpan { sint32 offset = 1; uint32 length = 2; }
`);

/** Label texts are latin1, one character per byte; numbers beyond 32 bits are decimal texts. */
export interface WholeSeries {
  labels: string[];
  samples: { value: string; timestamp: string; startTimestamp?: string }[];
  histograms: Record<string, unknown>[];
  exemplars: { labels: string[]; value?: string; timestamp?: string }[];
}

interface Label {
  name?: string;
  value?: string;
}

type Decoded<LabelsOf> = {
  samples: WholeSeries['samples'];
  histograms: WholeSeries['histograms'];
  exemplars: (LabelsOf & { value?: string; timestamp?: string })[];
} & LabelsOf;

const OPTIONS = { longs: String, bytes: String, arrays: true };

/** Decodes a snappy-compressed body of version 1.0. */
export function decodeWhole1(body: Uint8Array): WholeSeries[] {
  const message = decode<{ timeseries: Decoded<{ labels: Label[] }>[] }>('Request1', body);
  const texts = (labels: Label[]) => {
    return labels.flatMap(({ name = '', value = '' }) => [latin1(name), latin1(value)]);
  };
  return message.timeseries.map((series) => ({
    ...series,
    labels: texts(series.labels),
    exemplars: series.exemplars.map((one) => ({ ...one, labels: texts(one.labels) })),
  }));
}

/** Decodes a snappy-compressed body of version 2.0, and throws where a reference is none. */
export function decodeWhole2(body: Uint8Array): WholeSeries[] {
  type Referring = { labelsRefs: number[] };
  const message = decode<{ symbols: string[]; timeseries: Decoded<Referring>[] }>('Request2', body);
  const symbols = message.symbols.map(latin1);
  if (symbols[0] !== '') throw new Error('the first symbol is not empty');
  if (new Set(symbols).size < symbols.length) throw new Error('a symbol twice');
  const resolved = <T extends Referring>({ labelsRefs, ...rest }: T) => ({
    labels: labelsRefs.map((at) => {
      const symbol = symbols[at];
      if (symbol === undefined) throw new Error(`reference ${at} of ${symbols.length} symbols`);
      return symbol;
    }),
    ...rest,
  });
  return message.timeseries.map((series) => ({
    ...resolved(series),
    exemplars: series.exemplars.map(resolved),
  }));
}

function decode<T>(name: string, body: Uint8Array): T {
  const type = root.lookupType(name);
  return type.toObject(type.decode(snappy.uncompress(body)), OPTIONS) as T;
}

function latin1(base64: string): string {
  return Buffer.from(base64, 'base64').toString('latin1');
}

import protobuf from 'protobufjs';
import snappy from 'snappyjs';

/** One series of a decoded body. Values are bits: no double ever holds one. */
export interface ExactSeries {
  labels: { name: string; value: string }[];
  samples: { timestamp: number; bits: bigint }[];
}

/** A series with what is no float: of histograms the sum counts as their value. */
export interface ExactSeriesWithObjects extends ExactSeries {
  histograms: ExactSeries['samples'];
  exemplars: ExactSeries['samples'];
}

/**
 * prometheus.WriteRequest with two changes that keep everything exact: a double is read as
 * fixed64, which is the same eight bytes on the wire, and label texts are read as bytes.
 */
const WriteRequest = protobuf
  .parse(`
    syntax = "proto3";
    message WriteRequest { repeated TimeSeries timeseries = 1; }
    message TimeSeries {
      repeated Label labels = 1; repeated Sample samples = 2;
      repeated Exemplar exemplars = 3; repeated Histogram histograms = 4;
    }
    message Exemplar { fixed64 value = 2; int64 timestamp = 3; }
    message Histogram { fixed64 value = 3; int64 timestamp = 15; }
    message Label { bytes name = 1; bytes value = 2; }
    message Sample { fixed64 value = 1; int64 timestamp = 2; }
  `)
  .root.lookupType('WriteRequest');

const DECODED_BYTES_MAX = 100 * 1024 * 1024;

interface Halves {
  low: number;
  high: number;
}

interface DecodedSample {
  value: Halves | 0;
  timestamp: Halves | 0;
}

interface DecodedSeries {
  labels: { name: Uint8Array; value: Uint8Array }[];
  samples: DecodedSample[];
  exemplars: DecodedSample[];
  histograms: DecodedSample[];
}

/** Decodes a snappy-compressed remote-write 1.0 body; throws on a damaged one. */
export function decodeExactly(body: Uint8Array): ExactSeries[] {
  return decodeWithObjects(body).map(({ labels, samples }) => ({ labels, samples }));
}

/** The same with native histograms and exemplars. */
export function decodeWithObjects(body: Uint8Array): ExactSeriesWithObjects[] {
  const message = WriteRequest.decode(snappy.uncompress(body, DECODED_BYTES_MAX));
  const { timeseries } = message as unknown as { timeseries: DecodedSeries[] };
  return timeseries.map((series) => ({
    labels: series.labels.map(({ name, value }) => ({ name: text(name), value: text(value) })),
    samples: series.samples.map(exactSample),
    histograms: series.histograms.map(exactSample),
    exemplars: series.exemplars.map(exactSample),
  }));
}

function exactSample({ value, timestamp }: DecodedSample): ExactSeries['samples'][number] {
  return { timestamp: exactNumber(timestamp), bits: BigInt.asUintN(64, bigintOf(value)) };
}

/** `{__name__="up", job="node"}`: the labels in the order given. */
export function labelNotation(labels: readonly { name: string; value: string }[]): string {
  return `{${labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}

/** Text that is not valid UTF-8 stays distinct by its bytes in hexadecimal. */
function text(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  const decoded = buffer.toString('utf8');
  return Buffer.from(decoded, 'utf8').equals(buffer) ? decoded : `0x${buffer.toString('hex')}`;
}

/** protobufjs leaves the default of an absent field as the number 0. */
function bigintOf(halves: Halves | 0): bigint {
  if (halves === 0) return 0n;
  return (BigInt(halves.high) << 32n) | BigInt(halves.low >>> 0);
}

function exactNumber(halves: Halves | 0): number {
  const exact = bigintOf(halves);
  const number = Number(exact);
  if (BigInt(number) !== exact) throw new Error(`timestamp ${exact} is no exact double`);
  return number;
}

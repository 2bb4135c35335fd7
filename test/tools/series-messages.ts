import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

const definition = readFileSync(new URL('series-messages.proto', import.meta.url), 'utf8');
export const { root } = protobuf.parse(definition);

export const WriteRequest = root.lookupType('WriteRequest');
export const RequestV2 = root.lookupType('RequestV2');
export const ReadRequest = root.lookupType('ReadRequest');
export const ReadResponse = root.lookupType('ReadResponse');

/** 64 bits as protobufjs decodes them; it leaves the default of an absent field as a 0. */
export type Halves = { low: number; high: number } | 0;

export interface DecodedLabel {
  name: string;
  value: string;
}

export interface DecodedSample {
  value: Halves;
  timestamp: Halves;
  startTimestamp: Halves;
}

export interface DecodedExemplar {
  labels: DecodedLabel[];
  value: Halves;
  timestamp: Halves;
}

export interface DecodedSpan {
  offset: number;
  length: number;
}

export interface DecodedHistogram {
  countInt: Halves;
  countFloat: Halves;
  sum: Halves;
  schema: number;
  zeroThreshold: Halves;
  zeroCountInt: Halves;
  zeroCountFloat: Halves;
  negativeSpans: DecodedSpan[];
  negativeDeltas: Halves[];
  negativeCounts: Halves[];
  positiveSpans: DecodedSpan[];
  positiveDeltas: Halves[];
  positiveCounts: Halves[];
  resetHint: number;
  timestamp: Halves;
  customValues: Halves[];
  startTimestamp: Halves;
}

export interface DecodedSeries {
  labels: DecodedLabel[];
  samples: DecodedSample[];
  exemplars: DecodedExemplar[];
  histograms: DecodedHistogram[];
}

export interface DecodedRequestV2 {
  symbols: string[];
  timeseries: {
    labelsRefs: number[];
    samples: DecodedSample[];
    histograms: DecodedHistogram[];
    exemplars: { labelsRefs: number[]; value: Halves; timestamp: Halves }[];
    metadata: { type: number; helpRef: number; unitRef: number } | null;
    createdTimestamp: Halves;
  }[];
}

/** The eight bytes of a double. */
export function bitsOf(halves: Halves): bigint {
  return BigInt.asUintN(64, bigintOf(halves));
}

/** A signed integer. */
export function bigintOf(halves: Halves): bigint {
  if (halves === 0) return 0n;
  return (BigInt(halves.high | 0) << 32n) | BigInt(halves.low >>> 0);
}

/** Milliseconds, which stay far within what a double holds exactly. */
export function millisecondsOf(halves: Halves): number {
  return Number(bigintOf(halves));
}

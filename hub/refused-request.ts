import type { RefusalReason } from '../proto/settlement.ts';

/** Samples that the destination refused with one answer, and the body they can be sent in again. */
export interface RefusedRequest {
  agent: string;
  tenant: string;
  reason: RefusalReason;
  /** What the destination said. */
  message: string;
  /** Samples of the body that are refused, and others of which nothing is known. */
  refused: number;
  unknown: number;
  /** As WrittenSamples reads it, whatever version of remote write was posted. */
  body: Uint8Array;
}

/** Where deliveries leave what was refused. */
export interface RefusedSink {
  /** Resolves when the requests are on disk, or given up and counted; never rejects. */
  keep(requests: readonly RefusedRequest[]): Promise<void>;
}

/** A refused request with what people look for in it; times in ms since the Unix epoch. */
export interface DescribedRequest extends RefusedRequest {
  recordedAtMs: number;
  /** `message` without what differs from one refusal to the next. */
  messageGroup: string;
  /** Timestamps of its samples. */
  oldest: number;
  newest: number;
  /** Some of its series, as Prometheus prints them. */
  examples: readonly string[];
}

export interface KeptRequest extends DescribedRequest {
  id: number;
  /** Whether row and checksum agree. */
  isIntact: boolean;
}

/** What the record holds for one reason. */
export interface RefusedTotal {
  reason: string;
  records: number;
  refused: number;
  unknown: number;
  bytes: number;
}

import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { DictionaryPart, Keyframe } from '../../proto/batch.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { HubLink } from './hub-client.ts';
import type { DictionaryLog, HubSession } from './hub-session.ts';
import type { ShipStats } from './ship-stats.ts';

// What shipping needs of the other rooms; agent/worker.ts joins them.

/** A stored segment, as far as shipping looks at it. */
export interface ShippableSegment {
  /** Grows in the order of storing. */
  id: number;
  /** Run that stored it, in hexadecimal. */
  run: string;
  sequence: number;
  samples: number;
  body: Uint8Array;
}

/** The sample log of the buffer. */
export interface SampleLog {
  /** Samples that wait, by tenant. */
  readonly backlog: ReadonlyMap<string, number>;
  /** The oldest segments of a tenant; they stay pinned until `unpin`. */
  read(tenant: string, samplesMax: number): ShippableSegment[];
  unpin(tenant: string): void;
  /** The dictionary log that the ids in a tenant's oldest segment refer to. */
  dictionaryOf(tenant: string): DictionaryLog;
  /** Of every epoch that a segment may name, oldest first. */
  readonly dictionaries: readonly DictionaryLog[];
  /** Forgets what was answered for; returns how many samples that were. */
  acknowledge(tenant: string, ranges: readonly PositionRange[]): number;
}

/** A batch ready for the link: a resend sends the same bytes. */
export interface EncodedBatch {
  frame: Uint8Array;
  stream: bigint;
  sequence: number;
  positions: PositionRange[];
  samples: number;
}

/** The codec state of one stream. */
export interface Stream {
  /** Whether the next batch opens the stream. */
  readonly isFresh: boolean;
  encode(
    segments: readonly ShippableSegment[],
    dictionary: DictionaryPart | undefined,
    batch: { sentAtMs: number; mayBeRedelivered: boolean },
  ): EncodedBatch;
}

/** Makes what goes over the link. */
export interface BatchEncoding {
  openStream(keyframe: Keyframe): Stream;
  dictionaryBatch(epoch: bigint, epochsInUse: bigint[], part: DictionaryPart): Uint8Array;
  heartbeat(): Uint8Array;
}

export interface ShipOptions {
  /** Samples wait at most this long for company. */
  maxDelayMs: number;
  /** Samples of one batch. */
  samplesMax: number;
}

/** What the loops of all tenants share. */
export interface ShipTools {
  samples: SampleLog;
  session: HubSession;
  encoding: BatchEncoding;
  link: HubLink;
  stats: ShipStats;
  clock: Clock;
  random: Random;
  log: BoundedLog;
}

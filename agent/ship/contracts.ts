import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { DictionaryPart, Keyframe } from '../../proto/batch.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { HubLink } from './hub-client.ts';
import type { DictionaryLog, HubSession } from './hub-session.ts';
import type { ShipStats } from './ship-stats.ts';
import type { SizeLimit } from './size-limit.ts';

// What shipping needs of the other rooms; agent/worker.ts joins them.

/** Timestamps that the destination takes, both included, in ms since the Unix epoch. */
export interface TimeWindow {
  oldest: number;
  newest: number;
}

/** A stored segment, as far as shipping looks at it. */
export interface ShippableSegment {
  /** Grows in the order of storing. */
  id: number;
  /** As the buffer names it. */
  epoch: number;
  /** Run that stored it, in hexadecimal. */
  run: string;
  sequence: number;
  samples: number;
  /** Timestamps of its samples. */
  oldest: number;
  newest: number;
  body: Uint8Array;
}

/** A stored pack, as far as shipping looks at it. */
export interface ShippablePack {
  /** Names it. */
  key: number;
  /** Ids of its first and last segment. */
  id: number;
  lastId: number;
  /** Its place among packs of the same segments: samples in those before it. */
  firstSample: number;
  /** As the buffer names it. */
  epoch: number;
  positions: PositionRange[];
  samples: number;
  format: number;
  bytes: number;
  /** Timestamps of its samples. */
  oldest: number;
  newest: number;
}

/** The sample log of the buffer: segments and packs, in the order of their ids. */
export interface SampleLog<Pack extends ShippablePack = ShippablePack> {
  /** Samples that wait, by tenant. */
  readonly backlog: ReadonlyMap<string, number>;
  /** Samples that are parked, over all tenants. */
  readonly parkedSamples: number;
  /** Samples of a tenant that are neither in packs nor parked. */
  unpackedSamples(tenant: string): number;
  /** The oldest segments of a tenant from id `from` on; they stay pinned until the next `pin`. */
  read(tenant: string, samplesMax: number, from: number): ShippableSegment[];
  /** Pins the segments with these ids, and no others of the tenant. */
  pin(tenant: string, ids: { first: number; last: number } | undefined): void;
  /** Whether the tenant has a segment with an id below `id`, or one above it. */
  hasSegmentBefore(tenant: string, id: number): boolean;
  hasSegmentBehind(tenant: string, id: number): boolean;
  /** The lowest id of what was stored after `atMs`, by the clock that never jumps. */
  firstStoredAfter(atMs: number): number;
  /** Packs of a tenant, oldest first. */
  packs(tenant: string): readonly Pack[];
  /** The body of a pack, pinned until `unpinPack`; undefined when it is not to be sent now. */
  readPack(pack: Pack): Uint8Array | undefined;
  unpinPack(pack: Pack): void;
  /** @param key as segments and packs name their epoch */
  dictionaryOfEpoch(key: number): DictionaryLog;
  /** Of every epoch that a segment may name, oldest first. */
  readonly dictionaries: readonly DictionaryLog[];
  /** Forgets what was answered for; `onForgotten` is told how many samples, as soon as it is done. */
  acknowledge(
    tenant: string,
    ranges: readonly PositionRange[],
    onForgotten?: (samples: number) => void,
  ): void;
}

/** A batch ready for the link: a resend sends the same bytes. */
export interface EncodedBatch {
  frame: Uint8Array;
  stream: bigint;
  sequence: number;
  positions: PositionRange[];
  samples: number;
  /** What the samples take of the frame. */
  sampleBytes: number;
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

/** What a pack needs around it to become a batch. */
export interface PackParts {
  stream: bigint;
  sequence: number;
  keyframe: Keyframe;
  dictionary: DictionaryPart;
  positions: PositionRange[];
  samples: number;
  body: Uint8Array;
  mayBeRedelivered: boolean;
  unordered: boolean;
}

/** Makes what goes over the link. */
export interface BatchEncoding {
  openStream(keyframe: Keyframe): Stream;
  packBatch(pack: PackParts): EncodedBatch;
  dictionaryBatch(epoch: bigint, epochsInUse: bigint[], part: DictionaryPart): Uint8Array;
  heartbeat(): Uint8Array;
}

export interface ShipOptions {
  /** How long samples wait for company: see BatchDelay. */
  minDelayMs?: number | undefined;
  maxDelayMs: number;
  /** Samples of one batch. */
  samplesMax: number;
  /** Whether what waits goes first, or fresh samples overtake it. */
  order: 'oldest_first' | 'live_first';
}

/** What the loops of all tenants share. */
export interface ShipTools {
  samples: SampleLog;
  /** Puts packs of about `bytesMax` in the place of one; false when there is no way. */
  splitPack(tenant: string, key: number, bytesMax: number): boolean;
  /** The label set of a pack's first sample, to be read by people; undefined where it is gone. */
  nameSeries(tenant: string, key: number): string | undefined;
  /** Puts a pack in the place of one segment that is not pinned; false when there is no way. */
  packSegment(tenant: string, id: number): boolean;
  /** Writes a pack anew in another samples format; false when there is no way. */
  recodePack(tenant: string, key: number, format: number): boolean;
  /** Parks what lies outside of `window`; false when that is nothing, or does not work. */
  parkSegments(segments: readonly ShippableSegment[], window: TimeWindow): boolean;
  parkPack(tenant: string, key: number, window: TimeWindow): boolean;
  /** Parks a pack that is refused for its size alone; false when that does not work. */
  parkTooLarge(tenant: string, key: number): boolean;
  session: HubSession;
  encoding: BatchEncoding;
  link: HubLink;
  sizes: SizeLimit;
  stats: ShipStats;
  clock: Clock;
  random: Random;
  log: BoundedLog;
}

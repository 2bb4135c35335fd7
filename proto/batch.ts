import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { DecodeError } from './bytes.ts';
import { fromLong, type LongLike, safeNumber, toLong } from './long.ts';
import type { PositionRange } from './position-ranges.ts';

/** What an agent sends over the border, see batch.proto and docs/wire-format.md. */
export type Batch = LiveBatch | PackBatch | DictionaryBatch | Heartbeat;

/** The next part of a stream: samples of one tenant in the codec state both ends share. */
export interface LiveBatch {
  lane: 'live';
  /** 0n after decoding when `sequence` is not 0: the stream knows, see {@link withRun}. */
  run: bigint;
  sentAtMs: number;
  stream: bigint;
  sequence: number;
  /** What opens a stream; present exactly when `sequence` is 0. */
  keyframe?: Keyframe;
  dictionary?: DictionaryPart;
  positions: PositionRange[];
  samplesCount: number;
  samples: Uint8Array;
  mayBeRedelivered: boolean;
}

export interface Keyframe {
  /** Empty for the hub's default tenant of the agent. */
  tenant: string;
  samplesFormat: number;
  epoch: bigint;
  epochsInUse: bigint[];
}

/** Part of a backlog: samples of one tenant that stand for themselves, see pack.ts. */
export interface PackBatch {
  lane: 'pack';
  run: bigint;
  sentAtMs: number;
  /**
   * A row of packs, which are written in the order of `sequence`, from 0. Of one run and tenant, the
   * numbers of rows grow.
   */
  stream: bigint;
  sequence: number;
  keyframe: Keyframe;
  dictionary: DictionaryPart;
  positions: PositionRange[];
  samplesCount: number;
  samples: Uint8Array;
  mayBeRedelivered: boolean;
  /** No order is kept between these and the live stream. */
  unordered: boolean;
}

/** A bounded part of the dictionary log alone, sent first when much is missing at the hub. */
export interface DictionaryBatch {
  lane: 'dictionary';
  run: bigint;
  sentAtMs: number;
  epoch: bigint;
  /** As in a keyframe: a hub at its limit has to know which of its epochs are dead. */
  epochsInUse: bigint[];
  dictionary: DictionaryPart;
}

/** Tells silence from a cut link. */
export interface Heartbeat {
  lane: 'heartbeat';
  run: bigint;
  sentAtMs: number;
}

export interface DictionaryPart {
  /** Entries of the log before this part. */
  offset: number;
  /** Chain hash after those entries. */
  hash: bigint;
  /** Canonical entries, packed by proto/dictionary. */
  entries: Uint8Array;
}

const { root } = protobuf.parse(readFileSync(new URL('./batch.proto', import.meta.url), 'utf8'));
const BatchMessage = root.lookupType('starferry.Batch');
const LANES = ['live', 'dictionary', 'heartbeat', 'pack'] as const;

/** The protobuf message types of the border, for proto/answer.ts. */
export function borderType(name: 'Answer' | 'HubState'): protobuf.Type {
  return root.lookupType(`starferry.${name}`);
}

/** The protobuf message of a batch, not yet in its zstd frame. */
export function encodeBatch(batch: Batch): Uint8Array {
  return BatchMessage.encode(toMessage(batch)).finish();
}

function toMessage(batch: Batch): Record<string, unknown> {
  const isKnownByStream = batch.lane === 'live' && batch.sequence > 0;
  const common = {
    ...(isKnownByStream ? {} : { run: toLong(batch.run) }),
    // protobufjs writes every field it is given: a default is left out to cost nothing.
    ...(batch.lane === 'live' ? {} : { lane: LANES.indexOf(batch.lane) }),
    sentAtMs: batch.sentAtMs,
  };
  switch (batch.lane) {
    case 'heartbeat':
      return common;
    case 'dictionary':
      return {
        ...common,
        epoch: toLong(batch.epoch),
        epochsInUse: batch.epochsInUse.map(toLong),
        dictionary: partMessage(batch.dictionary),
      };
    case 'live':
      return { ...common, ...samplesMessage(batch) };
    case 'pack':
      return {
        ...common,
        ...samplesMessage(batch),
        ...(batch.unordered ? { unordered: true } : {}),
      };
  }
}

function samplesMessage(batch: LiveBatch | PackBatch): object {
  return {
    ...(batch.keyframe === undefined ? {} : keyframeMessage(batch.keyframe)),
    ...(batch.dictionary === undefined ? {} : { dictionary: partMessage(batch.dictionary) }),
    stream: toLong(batch.stream),
    ...(batch.sequence === 0 ? {} : { sequence: batch.sequence }),
    positions: positionMessages(batch.positions, batch.run),
    samplesCount: batch.samplesCount,
    samples: batch.samples,
    ...(batch.mayBeRedelivered ? { mayBeRedelivered: true } : {}),
  };
}

function keyframeMessage({ tenant, samplesFormat, epoch, epochsInUse }: Keyframe): object {
  return { tenant, samplesFormat, epoch: toLong(epoch), epochsInUse: epochsInUse.map(toLong) };
}

function partMessage({ offset, hash, entries }: DictionaryPart): object {
  return { offset, hash: toLong(hash), entries };
}

/** Ranges as messages; a run equal to `ownRun` is left out. */
export function positionMessages(ranges: Iterable<PositionRange>, ownRun: bigint): object[] {
  return Array.from(ranges, ({ run, first, last }) => ({
    ...(run === ownRun ? {} : { run: toLong(run) }),
    first,
    ...(last === first ? {} : { more: last - first }),
  }));
}

interface PositionMessage {
  run: LongLike;
  first: LongLike;
  more: LongLike;
}

/** The inverse of {@link positionMessages}. @throws DecodeError */
export function readPositions(messages: PositionMessage[], ownRun: bigint): PositionRange[] {
  return messages.map((message) => {
    const run = fromLong(message.run);
    const first = safeNumber(message.first, 'positions.first');
    const last = first + safeNumber(message.more, 'positions.more');
    if (first < 1 || last < first || !Number.isSafeInteger(last)) {
      throw new DecodeError(`positions: ${first} to ${last}`);
    }
    return { run: run === 0n ? ownRun : run, first, last };
  });
}

interface BatchFields {
  run: LongLike;
  lane: number;
  sentAtMs: LongLike;
  stream: LongLike;
  sequence: number;
  tenant: string;
  samplesFormat: number;
  epoch: LongLike;
  epochsInUse: LongLike[];
  dictionary: { offset: number; hash: LongLike; entries: Uint8Array } | null;
  positions: PositionMessage[];
  samplesCount: number;
  samples: Uint8Array;
  mayBeRedelivered: boolean;
  unordered: boolean;
}

/**
 * Reads the protobuf message of a batch and checks that what belongs together is there.
 *
 * @throws DecodeError
 */
export function decodeBatch(bytes: Uint8Array): Batch {
  let fields: BatchFields;
  try {
    fields = BatchMessage.decode(bytes) as unknown as BatchFields;
  } catch (error) {
    throw new DecodeError(`batch: ${error instanceof Error ? error.message : String(error)}`);
  }
  const common = {
    run: fromLong(fields.run),
    sentAtMs: safeNumber(fields.sentAtMs, 'sent_at_ms'),
  };
  const lane = LANES[fields.lane];
  const isKnownByStream = lane === 'live' && fields.sequence > 0;
  if (common.run === 0n && !isKnownByStream) throw new DecodeError('batch: no run');
  switch (lane) {
    case 'heartbeat':
      return { lane, ...common };
    case 'dictionary': {
      const dictionary = readPart(fields);
      if (dictionary === undefined) throw new DecodeError('batch: no dictionary part');
      const epochsInUse = fields.epochsInUse.map(fromLong);
      return { lane, ...common, epoch: fromLong(fields.epoch), epochsInUse, dictionary };
    }
    case 'live':
      return { lane, ...common, ...readLive(fields, common.run) };
    case 'pack':
      return { lane, ...common, ...readPack(fields, common.run) };
    default:
      throw new DecodeError(`batch: unknown lane ${fields.lane}`);
  }
}

/** A batch of a stream that `run` has opened: the batch itself does not repeat it. */
export function withRun(batch: LiveBatch, run: bigint): LiveBatch {
  const positions = batch.positions.map((range) => (range.run === 0n ? { ...range, run } : range));
  return { ...batch, run, positions };
}

function readLive(fields: BatchFields, run: bigint): Omit<LiveBatch, 'lane' | 'run' | 'sentAtMs'> {
  const samples = readSamples(fields, run);
  const dictionary = readPart(fields);
  if (fields.sequence > 0)
    return { ...samples, ...(dictionary === undefined ? {} : { dictionary }) };
  return { ...samples, keyframe: readKeyframe(fields), dictionary: stated(dictionary) };
}

function readPack(fields: BatchFields, run: bigint): Omit<PackBatch, 'lane' | 'run' | 'sentAtMs'> {
  const { unordered } = fields;
  const dictionary = stated(readPart(fields));
  return { ...readSamples(fields, run), keyframe: readKeyframe(fields), dictionary, unordered };
}

function readSamples(fields: BatchFields, run: bigint) {
  const { sequence, samplesCount, samples, mayBeRedelivered } = fields;
  const stream = fromLong(fields.stream);
  const positions = readPositions(fields.positions, run);
  if (stream === 0n) throw new DecodeError('batch: no stream');
  if (positions.length === 0) throw new DecodeError('batch: no positions');
  return { stream, sequence, positions, samplesCount, samples, mayBeRedelivered };
}

/** Without it nobody could tell whether both ends speak of the same dictionary. */
function stated(dictionary: DictionaryPart | undefined): DictionaryPart {
  if (dictionary !== undefined) return dictionary;
  throw new DecodeError('batch: a keyframe that does not state its dictionary');
}

function readKeyframe(fields: BatchFields): Keyframe {
  return {
    tenant: fields.tenant,
    samplesFormat: fields.samplesFormat,
    epoch: fromLong(fields.epoch),
    epochsInUse: fields.epochsInUse.map(fromLong),
  };
}

function readPart({ dictionary }: BatchFields): DictionaryPart | undefined {
  if (dictionary === null) return undefined;
  const { offset, hash, entries } = dictionary;
  return { offset, hash: fromLong(hash), entries };
}

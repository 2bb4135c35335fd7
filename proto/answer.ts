import { borderType, positionMessages, readPositions } from './batch.ts';
import { DecodeError } from './bytes.ts';
import { fromLong, type LongLike, safeNumber, toLong } from './long.ts';
import type { PositionRange } from './position-ranges.ts';
import { emptySettlement, type RefusalReason, type Settlement } from './settlement.ts';

/** How the destination of a hub does; the place in this row, from 1, is what crosses the border. */
export const DESTINATION_STATES = [
  'taking',
  'unreachable',
  'timeout',
  'unavailable',
  'refusing',
] as const;
export type DestinationState = (typeof DESTINATION_STATES)[number];

/** 200: the destination has answered for every sample of the batch. */
export interface Answer {
  settlement: Settlement;
  /** Entries of the batch's epoch that the hub holds durably. */
  dictionaryOffset: number;
  hubClockMs: number;
  /** Id of the hub; only to batches that open a stream or belong to none. */
  hub?: bigint;
  /** The oldest timestamp that the tenant of the batch takes, above 0; absent: no limit. */
  oldestAcceptedMs?: number;
  /** Only to heartbeats. */
  destination?: DestinationState;
}

/**
 * So many batches of a row behind the first one whose answer an agent has not heard, the hub still
 * has that answer.
 */
export const PACK_ANSWERS_MAX = 32;
export const LIVE_ANSWERS_MAX = 8;

/** Why a batch does not fit the hub's state. */
export type StateReason =
  | 'positions'
  | 'unknown stream'
  | 'gap'
  | 'dictionary behind'
  | 'dictionary full'
  | 'diverged'
  | 'partly answered'
  | 'duplicate agent';

/** 409 and GET /v1/positions: all that a hub holds of one agent. */
export interface HubState {
  reason: StateReason;
  hub: bigint;
  epochs: { epoch: bigint; offset: number; hash: bigint }[];
  tenants: TenantState[];
  /** The run that goes on, and the address it speaks from. */
  currentRun: bigint;
  currentAddress: string;
  formats: number[];
  hubClockMs: number;
  /** Samples further in the future than this, by the hub's clock, are to be held back. */
  aheadMaxMs: number;
}

export interface TenantState {
  /** As the agent names it: empty for the hub's default. */
  tenant: string;
  /** The stream that is open. */
  live?: RowState;
  answered: PositionRange[];
  /** The row of packs that is open. */
  packs?: RowState;
  /** As in an answer. */
  oldestAcceptedMs?: number;
}

/** A live stream or a row of packs, as far as its batches were taken in. */
export interface RowState {
  stream: bigint;
  /** What was taken in before it is being written, unless its answer is there. */
  nextSequence: number;
  answers: { sequence: number; answer: Answer }[];
}

const AnswerMessage = borderType('Answer');
const HubStateMessage = borderType('HubState');
/** No run is 0: ranges in an answer always name theirs. */
const NO_RUN = 0n;

export function encodeAnswer(answer: Answer): Uint8Array {
  return AnswerMessage.encode(answerFields(answer)).finish();
}

/** Counts of 0 are left out: protobufjs would write them, and every byte crosses the border. */
function answerFields(answer: Answer): object {
  const { settlement, dictionaryOffset, hubClockMs, hub, oldestAcceptedMs, destination } = answer;
  const { refused, ...counts } = settlement;
  return {
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    refused: Array.from(refused, ([reason, count]) => ({ reason, count })),
    dictionaryOffset,
    hubClockMs,
    ...(hub === undefined ? {} : { hub: toLong(hub) }),
    ...(oldestAcceptedMs === undefined ? {} : { oldestAcceptedMs }),
    ...(destination === undefined
      ? {}
      : { destination: DESTINATION_STATES.indexOf(destination) + 1 }),
  };
}

/** A state that a newer hub knows reads as unknown. */
function readDestination(field: number): { destination?: DestinationState } {
  const destination = DESTINATION_STATES[field - 1];
  return destination === undefined ? {} : { destination };
}

function readOldest(field: LongLike): { oldestAcceptedMs?: number } {
  const oldestAcceptedMs = safeNumber(field, 'oldest_accepted_ms');
  return oldestAcceptedMs === 0 ? {} : { oldestAcceptedMs };
}

interface AnswerFields {
  accepted: LongLike;
  deduplicated: LongLike;
  redelivered: LongLike;
  unknown: LongLike;
  refused: { reason: string; count: LongLike }[];
  dictionaryOffset: number;
  hubClockMs: LongLike;
  hub: LongLike;
  oldestAcceptedMs: LongLike;
  destination: number;
}

/** @throws DecodeError */
export function decodeAnswer(bytes: Uint8Array): Answer {
  return readAnswer(decodeWith(AnswerMessage, bytes) as AnswerFields);
}

function readAnswer(fields: AnswerFields): Answer {
  const settlement = emptySettlement();
  settlement.accepted = safeNumber(fields.accepted, 'accepted');
  settlement.deduplicated = safeNumber(fields.deduplicated, 'deduplicated');
  settlement.redelivered = safeNumber(fields.redelivered, 'redelivered');
  settlement.unknown = safeNumber(fields.unknown, 'unknown');
  for (const { reason, count } of fields.refused) {
    // A hub of an earlier version names so what it calls `other` today.
    const known = reason === 'unknown' ? 'other' : reason;
    settlement.refused.set(known as RefusalReason, safeNumber(count, 'refused'));
  }
  const hub = fromLong(fields.hub);
  return {
    settlement,
    dictionaryOffset: fields.dictionaryOffset,
    hubClockMs: safeNumber(fields.hubClockMs, 'hub_clock_ms'),
    ...(hub === 0n ? {} : { hub }),
    ...readOldest(fields.oldestAcceptedMs),
    ...readDestination(fields.destination),
  };
}

export function encodeHubState(state: HubState): Uint8Array {
  return HubStateMessage.encode({
    ...state,
    hub: toLong(state.hub),
    currentRun: toLong(state.currentRun),
    epochs: state.epochs.map(({ epoch, offset, hash }) => ({
      epoch: toLong(epoch),
      offset,
      hash: toLong(hash),
    })),
    tenants: state.tenants.map(tenantMessage),
    maxAheadMs: state.aheadMaxMs,
  }).finish();
}

function tenantMessage(state: TenantState): object {
  const { tenant, live, answered, packs, oldestAcceptedMs } = state;
  return {
    tenant,
    ...(live === undefined ? {} : liveMessage(live)),
    answered: positionMessages(answered, NO_RUN),
    ...(packs === undefined ? {} : packsMessage(packs)),
    ...(oldestAcceptedMs === undefined ? {} : { oldestAcceptedMs }),
  };
}

function liveMessage({ stream, nextSequence, answers }: RowState): object {
  return { stream: toLong(stream), nextSequence, answers: answerMessages(answers) };
}

function packsMessage({ stream, nextSequence, answers }: RowState): object {
  return {
    packStream: toLong(stream),
    packNextSequence: nextSequence,
    packAnswers: answerMessages(answers),
  };
}

function answerMessages(answers: RowState['answers']): object[] {
  return answers.map(({ sequence, answer }) => ({ sequence, answer: answerFields(answer) }));
}

interface RowAnswerFields {
  sequence: number;
  answer: AnswerFields | null;
}

interface TenantFields {
  tenant: string;
  stream: LongLike;
  nextSequence: number;
  answers: RowAnswerFields[];
  answered: { run: LongLike; first: LongLike; more: LongLike }[];
  packStream: LongLike;
  packNextSequence: number;
  packAnswers: RowAnswerFields[];
  oldestAcceptedMs: LongLike;
}

interface HubStateFields {
  reason: string;
  hub: LongLike;
  epochs: { epoch: LongLike; offset: number; hash: LongLike }[];
  tenants: TenantFields[];
  currentRun: LongLike;
  currentAddress: string;
  formats: number[];
  hubClockMs: LongLike;
  maxAheadMs: LongLike;
}

/** @throws DecodeError */
export function decodeHubState(bytes: Uint8Array): HubState {
  const fields = decodeWith(HubStateMessage, bytes) as HubStateFields;
  // An empty body, as some proxies send it with status 200, reads as a message of zeros.
  if (fromLong(fields.hub) === 0n) throw new DecodeError('HubState: no hub');
  return {
    reason: fields.reason as StateReason,
    hub: fromLong(fields.hub),
    epochs: fields.epochs.map(({ epoch, offset, hash }) => ({
      epoch: fromLong(epoch),
      offset,
      hash: fromLong(hash),
    })),
    tenants: fields.tenants.map(readTenant),
    currentRun: fromLong(fields.currentRun),
    currentAddress: fields.currentAddress,
    formats: fields.formats,
    hubClockMs: safeNumber(fields.hubClockMs, 'hub_clock_ms'),
    aheadMaxMs: safeNumber(fields.maxAheadMs, 'max_ahead_ms'),
  };
}

function readTenant(fields: TenantFields): TenantState {
  const { tenant, stream, nextSequence, answers } = fields;
  const live = readRow(stream, nextSequence, answers);
  const packs = readRow(fields.packStream, fields.packNextSequence, fields.packAnswers);
  return {
    tenant,
    ...(live === undefined ? {} : { live }),
    answered: readPositions(fields.answered, NO_RUN),
    ...(packs === undefined ? {} : { packs }),
    ...readOldest(fields.oldestAcceptedMs),
  };
}

function readRow(
  id: LongLike,
  nextSequence: number,
  fields: readonly RowAnswerFields[],
): RowState | undefined {
  const stream = fromLong(id);
  if (stream === 0n) return undefined;
  const answers = fields.map(({ sequence, answer }) => {
    if (answer === null) throw new DecodeError('HubState: an answer to a batch that is none');
    return { sequence, answer: readAnswer(answer) };
  });
  return { stream, nextSequence, answers };
}

function decodeWith(type: ReturnType<typeof borderType>, bytes: Uint8Array): unknown {
  try {
    return type.decode(bytes);
  } catch (error) {
    throw new DecodeError(
      `${type.name}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

import { formatTime } from '../base/units.ts';
import type { KeptRequest } from '../hub/refused-request.ts';
import type { ReplayResult } from '../hub/replay.ts';
import type { RefusedGroup } from '../hub/store/refused-store.ts';

/** A group of refusals; `last` is its latest record. */
export function groupLines(
  group: RefusedGroup,
  last: KeptRequest | undefined,
  isJson: boolean,
): string[] {
  const { agent, tenant, reason, records, refused, unknown } = group;
  const examples = last?.examples ?? [];
  const message = last?.message ?? group.messageGroup;
  if (isJson) return [JSON.stringify({ ...group, message, examples })];
  const kept = records === 1 ? '1 record' : `${records} records`;
  return [
    `${agent} into ${tenant}: ${reason}, ${counts(refused, unknown)} in ${kept}`,
    `  recorded  ${span(group.firstRecordedAtMs, group.lastRecordedAtMs)}`,
    ...sampleLines(group, message, examples),
    `  last id   ${group.lastId}`,
    '',
  ];
}

export function recordLines(record: KeptRequest, isJson: boolean): string[] {
  const { body, isIntact, ...shown } = record;
  if (isJson) return [JSON.stringify({ ...shown, bodyBytes: body.length, isIntact })];
  const { id, agent, tenant, reason, refused, unknown } = record;
  return [
    `${id}: ${agent} into ${tenant}: ${reason}, ${counts(refused, unknown)}`,
    `  recorded  ${formatTime(record.recordedAtMs)}`,
    ...sampleLines(record, record.message, record.examples),
    ...(isIntact ? [] : ['  damaged   the row does not agree with its checksum']),
    '',
  ];
}

function sampleLines(
  { oldest, newest }: { oldest: number; newest: number },
  message: string,
  examples: readonly string[],
): string[] {
  const series = examples.map(
    (example, at) => `  ${at === 0 ? 'series  ' : '        '}  ${example}`,
  );
  return [`  samples   ${span(oldest, newest)}`, `  answer    ${oneLine(message)}`, ...series];
}

function counts(refused: number, unknown: number): string {
  return unknown === 0 ? `${refused} refused` : `${refused} refused and ${unknown} unknown`;
}

function span(firstMs: number, lastMs: number): string {
  const first = formatTime(firstMs);
  return firstMs === lastMs ? first : `${first} to ${formatTime(lastMs)}`;
}

/** What became of a record, in one line. */
export function replayLine(id: number, result: ReplayResult): string[] {
  switch (result.kind) {
    case 'gone':
      return [`${id}: no longer kept`];
    case 'damaged':
      return [`${id}: damaged, not sent`];
    case 'unanswered':
      return [`${id}: not taken, kept: ${oneLine(result.message)}`];
    case 'answered':
      return [`${id}: ${answered(result)}`];
  }
}

function answered({ settlement, refused }: Extract<ReplayResult, { kind: 'answered' }>): string {
  const { accepted, deduplicated, redelivered } = settlement;
  const said = [
    `${accepted} accepted`,
    ...(deduplicated > 0 ? [`${deduplicated} deduplicated`] : []),
    ...(redelivered > 0
      ? [`${redelivered} perhaps stored by an attempt without answer, kept`]
      : []),
    ...refused.map(
      ({ reason, message, ...part }) =>
        `${counts(part.refused, part.unknown)} again as ${reason} (${oneLine(message)})`,
    ),
  ];
  return said.join(', ');
}

/** A replay so far, in samples and in records. */
export interface ReplaySums {
  accepted: number;
  refused: number;
  unknown: number;
  /** Records of which something is not accepted. */
  openRecords: number;
  untriedRecords: number;
}

export function emptySums(records: number): ReplaySums {
  return { accepted: 0, refused: 0, unknown: 0, openRecords: 0, untriedRecords: records };
}

export function sum(sums: ReplaySums, result: ReplayResult): void {
  sums.untriedRecords--;
  if (result.kind === 'gone') return;
  if (result.kind !== 'answered') {
    sums.openRecords++;
    return;
  }
  const { accepted, deduplicated, redelivered, unknown, refused } = result.settlement;
  sums.accepted += accepted + deduplicated;
  for (const count of refused.values()) sums.refused += count;
  sums.unknown += unknown;
  if (redelivered > 0 || result.refused.length > 0) sums.openRecords++;
}

export function replaySums(sums: ReplaySums): string[] {
  const { accepted, refused, unknown, openRecords, untriedRecords } = sums;
  return [
    `samples: ${accepted} accepted, ${counts(refused, unknown)} again; ` +
      `records: ${openRecords} still open, ${untriedRecords} not tried`,
  ];
}

/** Whatever a destination says must not break a line, nor reach a terminal as a command. */
function oneLine(message: string): string {
  return message.replace(/[\s\p{Cc}]+/gu, ' ').trim();
}

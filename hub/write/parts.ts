import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { FailingPart } from './set-aside.ts';

/** Samples [from, to) of a request, not yet answered for; what was cut out of another keeps its past. */
export interface Part extends FailingPart {
  /** Attempts so far, those of the whole it was cut from included. */
  attempts: number;
  /** Whether one of them may have been stored without our hearing of it. */
  mayBeStored: boolean;
  /** All samples of it are of a kind that was refused lately. */
  isSuspect: boolean;
  /** It was cut out of a part that was refused, to find what is guilty in it. */
  isSearched: boolean;
}

/** The part in two, the earlier one first; a single sample whole. */
export function halvesOf(part: Part, request: OutgoingRequest): Part[] {
  const middle = middleOf(part, request);
  const first = { ...part, to: middle };
  return middle < part.to ? [first, { ...part, from: middle }] : [first];
}

/** A part for each sample; `joins`: with the exemplars behind it. */
export function singlesOf(part: Part, request: OutgoingRequest, joins: boolean): Part[] {
  const singles: Part[] = [];
  for (let row = part.from; row < part.to; row++) {
    const last = singles.at(-1);
    if (joins && last !== undefined && request.isExemplar(row)) last.to = row + 1;
    else singles.push({ ...part, from: row, to: row + 1 });
  }
  return singles;
}

/** Whether the part is a sample with its exemplars and nothing else. */
export function isEntry({ from, to }: Part, request: OutgoingRequest): boolean {
  return !request.isExemplar(from) && isExemplars({ from: from + 1, to }, request);
}

export function isExemplars(
  { from, to }: { from: number; to: number },
  request: OutgoingRequest,
): boolean {
  for (let row = from; row < to; row++) if (!request.isExemplar(row)) return false;
  return true;
}

/**
 * Where a part is halved: not between a sample and its exemplars, as far as that can be, since
 * receivers of version 2.0 refuse exemplars without a sample.
 */
function middleOf({ from, to }: Part, request: OutgoingRequest): number {
  const half = Math.ceil((from + to) / 2);
  let middle = half;
  while (middle < to && request.isExemplar(middle)) middle++;
  if (middle < to) return middle;
  middle = Math.min(half, to - 1);
  while (middle > from && request.isExemplar(middle)) middle--;
  return middle > from ? middle : half;
}

import { type DestinationKind, storesParts } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';
import type { Part } from './parts.ts';
import type { RefusalSearch, SearchedRow } from './refusal-search.ts';

export interface Plan {
  /** The rows in the order in which they are sent. */
  request: OutgoingRequest;
  /** All of its rows, in that order. */
  parts: Part[];
}

export interface PlanTools {
  kind: DestinationKind;
  bodies: { readonly protocol: WriteProtocol };
  search: RefusalSearch;
}

const UNTRIED = {
  failedAtMs: undefined,
  failedForMs: 0,
  gapMs: 0,
  search: undefined,
  attempts: 0,
  isSearched: false,
};

/**
 * How a request is sent first. Where the destination stores the rest of a refused body, no body has
 * two samples of a series, so that any part of it can be sent again, and what was refused lately goes
 * in a body of its own behind the others.
 */
export function planParts(request: OutgoingRequest, { kind, bodies, search }: PlanTools): Plan {
  const { protocol } = bodies;
  const { count, tenant } = request;
  const newPart = (from: number, to: number, isSuspect: boolean): Part => ({
    ...UNTRIED,
    from,
    to,
    mayBeStored: request.mayBeRedelivered,
    isSuspect,
  });
  if (!storesParts(kind)) return { request, parts: [newPart(0, count, false)] };
  // In version 2.0 exemplars stand beside their sample, however many they are.
  const starts = [0, ...request.cutsAtRepeats(protocol === 'v1')];
  const hasSuspects = search.hasSuspects(tenant);
  const rows = new Uint32Array(hasSuspects ? count : 0);
  const parts: Part[] = [];
  for (const [at, from] of starts.entries()) {
    const to = starts[at + 1] ?? count;
    if (!hasSuspects) {
      parts.push(newPart(from, to, false));
      continue;
    }
    const middle = setSuspectsBehind(request, { from, to }, rows, search, protocol);
    if (middle > from) parts.push(newPart(from, middle, false));
    if (middle < to) parts.push(newPart(middle, to, true));
  }
  return { request: hasSuspects ? request.select(rows) : request, parts };
}

/** Fills `rows` from `from` to `to`; returns where the suspects begin. */
function setSuspectsBehind(
  request: OutgoingRequest,
  { from, to }: { from: number; to: number },
  rows: Uint32Array,
  search: RefusalSearch,
  protocol: WriteProtocol,
): number {
  const suspects: number[] = [];
  let at = from;
  let isSuspect = false;
  for (let row = from; row < to; row++) {
    // An exemplar goes where its sample goes: destinations refuse one whose series they do not have.
    const isBeside = row > from && request.isExemplar(row) && isSameSeries(request, row - 1, row);
    const isOwn = !isBeside || protocol === 'v1';
    const isNamed = isOwn && search.isSuspect(request.tenant, rowOf(request, row));
    if (!isBeside) isSuspect = isNamed;
    if (isSuspect || isNamed) suspects.push(row);
    else rows[at++] = row;
  }
  rows.set(suspects, at);
  return at;
}

function isSameSeries(request: OutgoingRequest, one: number, other: number): boolean {
  return request.seriesHash(one) === request.seriesHash(other);
}

export function rowOf(request: OutgoingRequest, row: number): SearchedRow {
  return {
    seriesHash: request.seriesHash(row),
    isExemplar: request.isExemplar(row),
    timestamp: request.timestampOf(row),
  };
}

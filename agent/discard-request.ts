import { parseTime } from '../base/units.ts';

/** Stands for the tenant that has no name; no tenant can have this one. */
export const DEFAULT_TENANT = '@default';

/** Which samples of a buffer are to be discarded. */
export interface DiscardRequest {
  tenant: string;
  /** Timestamps in ms since the Unix epoch, both included. */
  fromMs: number;
  toMs: number;
  /** Parked samples are discarded, instead of samples that wait to be sent. */
  isParked: boolean;
  /** They are counted only. */
  isDryRun: boolean;
}

/** What became of a request. */
export interface Discarded {
  /** Samples, exemplars included, that were discarded, or would be. */
  samples: number;
  /** Their timestamps in ms since the Unix epoch; null: there are none. */
  oldest: number | null;
  newest: number | null;
  /** Samples in the range that wait for an answer of the hub, and are left alone. */
  onTheirWay: number;
  /** Segments and packs that could not be read. */
  unreadable: number;
  /** Why not all was looked at. */
  problem?: string;
}

/** The request that these texts make, or what is wrong with one; `named` is how to call it. */
export function parseDiscardRequest(
  texts: { tenant: string | undefined; from: string | undefined; to: string | undefined },
  rest: Pick<DiscardRequest, 'isParked' | 'isDryRun'>,
  named = (name: string) => name,
): DiscardRequest | string {
  const { tenant, from, to } = texts;
  if (tenant === undefined || tenant === '') {
    return `${named('tenant')}=NAME is required; ${DEFAULT_TENANT}: the one without a name`;
  }
  if (from === undefined) return `${named('from')}=TIME is required`;
  if (to === undefined) return `${named('to')}=TIME is required`;
  const [fromMs, toMs] = [parseTime(from), parseTime(to)];
  if (Number.isNaN(fromMs)) return `${named('from')}=${from}: expected RFC 3339 or Unix seconds`;
  if (Number.isNaN(toMs)) return `${named('to')}=${to}: expected RFC 3339 or Unix seconds`;
  if (fromMs > toMs) return `${named('from')}=${from} is later than ${named('to')}=${to}`;
  return { tenant: tenant === DEFAULT_TENANT ? '' : tenant, fromMs, toMs, ...rest };
}

import { parseTime } from '../base/units.ts';
import { DEFAULT_TENANT } from './buffer-names.ts';

export interface ExportOptions {
  format: 'remote-write' | 'openmetrics';
  /** A folder, or `-`. */
  out: string;
  /** Empty: all. */
  tenants: readonly string[];
  /** Milliseconds since the Unix epoch, both included. */
  fromMs: number;
  toMs: number;
}

/** What the flags ask for, or what is wrong with them. */
export function parseExportFlags({
  format = 'remote-write',
  out,
  tenants,
  from,
  to,
}: {
  format: string | undefined;
  out: string | undefined;
  tenants: readonly string[];
  from: string | undefined;
  to: string | undefined;
}): ExportOptions | string {
  if (format !== 'remote-write' && format !== 'openmetrics') {
    return `--format=${format}: expected remote-write or openmetrics`;
  }
  if (out === undefined) return '--out=PATH is required';
  if (out === '-' && format === 'remote-write') {
    return '--out=-: bodies of remote write go into a folder, or choose --format=openmetrics';
  }
  const fromMs = from === undefined ? Number.NEGATIVE_INFINITY : parseTime(from);
  const toMs = to === undefined ? Number.POSITIVE_INFINITY : parseTime(to);
  if (Number.isNaN(fromMs)) return `--from=${from}: expected RFC 3339 or Unix seconds`;
  if (Number.isNaN(toMs)) return `--to=${to}: expected RFC 3339 or Unix seconds`;
  const names = tenants.map((tenant) => (tenant === DEFAULT_TENANT ? '' : tenant));
  return { format, out, tenants: names, fromMs, toMs };
}

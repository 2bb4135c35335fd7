/** What a duration looks like, for error messages. */
export const DURATION_FORM = 'a duration such as 250ms, 15s, 1h30m or 1d';
/** What a size looks like, for error messages. */
export const SIZE_FORM = 'a size such as 512KiB, 10GiB, 1MB or plain bytes';

const MS_PER_UNIT = {
  y: 365 * 86_400_000,
  w: 7 * 86_400_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
} as const;

const DURATION_PATTERN =
  /^(?:(?<y>\d+)y)?(?:(?<w>\d+)w)?(?:(?<d>\d+)d)?(?:(?<h>\d+)h)?(?:(?<m>\d+)m)?(?:(?<s>\d+)s)?(?:(?<ms>\d+)ms)?$/;

/**
 * Milliseconds of a duration as Prometheus writes them: whole numbers, each unit at most once and
 * the larger ones first, or a plain `0`. Undefined for anything else.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const groups = DURATION_PATTERN.exec(text)?.groups;
  if (text === '' || groups === undefined) return undefined;
  let durationMs = 0;
  for (const [unit, ms] of Object.entries(MS_PER_UNIT))
    durationMs += Number(groups[unit] ?? 0) * ms;
  return Number.isSafeInteger(durationMs) ? durationMs : undefined;
}

/** The shortest text that `parseDuration` reads back as `durationMs`, without years and weeks. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  let text = '';
  let restMs = durationMs;
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(restMs / MS_PER_UNIT[unit]);
    restMs -= count * MS_PER_UNIT[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}

const BYTES_PER_UNIT = new Map([
  ['', 1],
  ['B', 1],
  ['kB', 1000],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['TB', 1000 ** 4],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
]);

/** Bytes of a size: a whole number and a unit, decimal (MB) or binary (MiB). Undefined otherwise. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+) ?([kKMGT]?i?B|)$/.exec(text);
  const unitBytes = BYTES_PER_UNIT.get(match?.[2] ?? 'none');
  if (match === null || unitBytes === undefined) return undefined;
  const bytes = Number(match[1]) * unitBytes;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact text in binary units: `33554432` becomes `32MiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const unitBytes = BYTES_PER_UNIT.get(unit) ?? 1;
    if (bytes >= unitBytes && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  }
  return `${bytes}`;
}

/** A time for people; timestamps may lie outside what a Date can hold. */
export function formatTime(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}

/** Milliseconds since the Unix epoch of RFC 3339 or Unix seconds; NaN for what is no time. */
export function parseTime(text: string): number {
  if (/^-?\d+(\.\d{1,3})?$/.test(text)) return Math.round(Number(text) * 1000);
  const isRfc3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text);
  return isRfc3339 ? Date.parse(text) : Number.NaN;
}

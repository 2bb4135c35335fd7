/** A peer that asks for more is taken to be mistaken: nobody would notice the recovery for days. */
const RETRY_AFTER_MAX_MS = 3_600_000;

/**
 * Milliseconds to wait as a Retry-After header says: whole seconds or an HTTP date (RFC 9110,
 * 10.2.3 and 5.6.7, the two obsolete forms included), at most an hour. Undefined when the header
 * is absent or unreadable or the date has passed: the caller's own backoff applies.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, RETRY_AFTER_MAX_MS);
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  // The asctime form names no zone and means GMT; without it Date.parse would take local time.
  const waitMs = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, RETRY_AFTER_MAX_MS) : undefined;
}

/** The header's value for `waitMs`: whole seconds, rounded up, at least 1. */
export function formatRetryAfter(waitMs: number): string {
  return String(Math.max(1, Math.ceil(waitMs / 1000)));
}

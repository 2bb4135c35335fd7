import { unquoted } from './refusal-reason.ts';

/** pkg/ingester of Cortex: "err: %v. timestamp=%s, tsdbHeadMaxTimestamp=%s, series=%s", RFC 3339. */
const TOO_FAR_BEHIND =
  /err: (?:out of bounds|too old sample)\. timestamp=[^,\s]{20,35}, tsdbHeadMaxTimestamp=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z), series=/;

/**
 * The newest timestamp in a tenant's storage, in ms since the Unix epoch, as Cortex names it when it
 * refuses a sample that is too far behind; undefined where the message does not say.
 *
 * Cortex alone says so, since 1.21. Mimir and Prometheus name the refused sample only, Thanos nothing.
 */
export function tsdbHeadOf(message: string): number | undefined {
  const head = TOO_FAR_BEHIND.exec(unquoted(message))?.[1];
  const headMs = head === undefined ? Number.NaN : Date.parse(head);
  return Number.isNaN(headMs) ? undefined : headMs;
}

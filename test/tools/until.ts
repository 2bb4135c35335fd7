import { type Clock, systemClock } from '../../base/clock.ts';

/** How often a condition is asked: short beside a scrape interval, long beside a loopback call. */
const pollMs = 50;

/**
 * Waits until `condition` holds, asking again and again; the only way in which tests wait for
 * another process. `what` completes the sentence "waited … for" of the error at the deadline.
 */
export async function until(
  what: string,
  deadlineMs: number,
  condition: () => boolean | Promise<boolean>,
  clock: Clock = systemClock,
): Promise<void> {
  const endsAt = clock.now() + deadlineMs;
  while (!(await condition())) {
    if (clock.now() >= endsAt) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await clock.sleep(pollMs);
  }
}

import { type Clock, systemClock } from '../../base/clock.ts';

/** How often a condition is asked: short beside a scrape interval, long beside a loopback call. */
const pollMs = 50;

/** A machine with other work takes several times as long: that is no failure. */
const patience = 8;

/**
 * Waits until `condition` holds, asking again and again; the only way in which tests wait for
 * another process. `what` completes the sentence "waited … for" of the error at the deadline, which is
 * `deadlineMs` of a quiet machine.
 */
export async function until(
  what: string,
  deadlineMs: number,
  condition: () => boolean | Promise<boolean>,
  clock: Clock = systemClock,
): Promise<void> {
  const waitMs = patience * deadlineMs;
  const endsAt = clock.now() + waitMs;
  while (!(await condition())) {
    if (clock.now() >= endsAt) throw new Error(`waited ${waitMs} ms in vain for ${what}`);
    await clock.sleep(pollMs);
  }
}

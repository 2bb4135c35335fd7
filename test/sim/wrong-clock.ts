import type { Chance } from './chance.ts';
import { STARTS_AT_MS, type Surroundings } from './surroundings.ts';
import type { WallClock } from './virtual-time.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** By then a time server has answered, if there is one. */
const SET_RIGHT_MS_MAX = 60_000;

/** Errors of a clock, in ms: some seconds, minutes, days, a year. */
const ERRORS = [MINUTE_MS, HOUR_MS, 30 * DAY_MS, 365 * DAY_MS] as const;

/**
 * Sets a clock as a machine may find it when it starts: right, or wrong by seconds up to a year, or
 * at the beginning of 1970. Some clocks are set right after a while, others stay as they are.
 *
 * @param behindMaxMs how far behind it may be at the most
 */
export function setAtStart(
  clock: WallClock,
  surroundings: Surroundings,
  chance: Chance,
  behindMaxMs = Number.POSITIVE_INFINITY,
): void {
  if (chance.maybe(0.3)) {
    clock.setRight();
    return;
  }
  clock.setRight();
  const in1970Ms = chance.between(0, HOUR_MS);
  const errorMs = chance.between(0, chance.pick(ERRORS));
  const behindMs = chance.maybe(0.3) ? clock.now() - in1970Ms : errorMs;
  clock.step(Math.round(chance.maybe(0.5) ? errorMs : -Math.min(behindMs, behindMaxMs)));
  const rightMs = STARTS_AT_MS + surroundings.time.elapsedMs;
  surroundings.note(`a clock is ${Math.round((clock.now() - rightMs) / 1000)} s ahead`);
  if (!chance.maybe(0.5)) return;
  const waitMs = chance.between(0, SET_RIGHT_MS_MAX);
  surroundings.spawn(surroundings.time.sleep(waitMs).then(() => clock.setRight()));
}

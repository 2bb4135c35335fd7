import { TimeZone, type WallTime, WEEKDAYS, type Weekday } from '../../base/time-zone.ts';
import type { LinkConfig, LinkHours } from '../link-config.ts';

/** What the link may be used for at some moment. */
export type LinkAllowance = Pick<LinkHours, 'bytesPerSecondMax' | 'backlog'>;

/** The limits of the link by the hour. They change on whole minutes only. */
export class LinkSchedule {
  readonly #zone: TimeZone;
  readonly #hours: readonly LinkHours[];
  readonly #otherwise: LinkAllowance;

  constructor({ timeZone, schedule, bytesPerSecondMax }: Omit<LinkConfig, 'quotas'>) {
    this.#zone = new TimeZone(timeZone);
    this.#hours = schedule;
    this.#otherwise = { bytesPerSecondMax, backlog: true };
  }

  at(ms: number): LinkAllowance {
    if (this.#hours.length === 0) return this.#otherwise;
    const time = this.#zone.at(ms);
    return this.#hours.find((hours) => covers(hours, time)) ?? this.#otherwise;
  }
}

function covers({ days, fromMinute, toMinute }: LinkHours, { weekday, minute }: WallTime): boolean {
  const isAcrossMidnight = toMinute <= fromMinute;
  // The hours after midnight belong to the day on which they began.
  if (isAcrossMidnight && minute < toMinute) return days.includes(dayBefore(weekday));
  return minute >= fromMinute && (isAcrossMidnight || minute < toMinute) && days.includes(weekday);
}

function dayBefore(weekday: Weekday): Weekday {
  return WEEKDAYS.at(WEEKDAYS.indexOf(weekday) - 1)!;
}

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** What calendar and clock on the wall of a place say. */
export interface WallTime {
  weekday: Weekday;
  /** Minutes since midnight, as the clock shows them. */
  minute: number;
  /** `2026-11-05` */
  day: string;
  /** `2026-11` */
  month: string;
}

export type Period = 'day' | 'month';

export const MINUTE_MS = 60_000;
/** Beyond the end of any day or month, summer time and moved date lines included. */
const PERIOD_MINUTES_MAX = { day: 2 * 1440, month: 33 * 1440 };

export function isTimeZone(name: string): boolean {
  try {
    Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * A time zone by its IANA name. Offsets change on whole minutes only, so one answer is good for a
 * minute; it is kept, because asking Intl takes some microseconds.
 */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat;
  #known: { startMinute: number; time: WallTime } | undefined;
  /** Of the day and the month that were asked for last. */
  readonly #ends = new Map<Period, { name: string; ms: number }>();

  /** @throws RangeError when the runtime knows no such zone */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      weekday: 'short',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
  }

  at(ms: number): WallTime {
    const startMinute = Math.floor(ms / MINUTE_MS);
    if (this.#known?.startMinute !== startMinute) {
      this.#known = { startMinute, time: this.#read(startMinute) };
    }
    return this.#known.time;
  }

  /** When the day or month of `ms` is over: the first moment of the next one. */
  endOf(period: Period, ms: number): number {
    const name = this.at(ms)[period];
    const known = this.#ends.get(period);
    if (known?.name === name) return known.ms;
    const end = this.#findEnd(period, Math.floor(ms / MINUTE_MS));
    this.#ends.set(period, { name, ms: end });
    return end;
  }

  #findEnd(period: Period, startMinute: number): number {
    const current = this.#read(startMinute)[period];
    let inside = startMinute;
    let beyond = inside + PERIOD_MINUTES_MAX[period];
    while (beyond - inside > 1) {
      const middle = Math.floor((inside + beyond) / 2);
      if (this.#read(middle)[period] === current) inside = middle;
      else beyond = middle;
    }
    return beyond * MINUTE_MS;
  }

  #read(startMinute: number): WallTime {
    const parts = this.#format.formatToParts(startMinute * MINUTE_MS);
    const part = (name: Intl.DateTimeFormatPartTypes): string =>
      parts.find(({ type }) => type === name)!.value;
    const month = `${part('year')}-${part('month')}`;
    return {
      weekday: part('weekday').toLowerCase() as Weekday,
      minute: Number(part('hour')) * 60 + Number(part('minute')),
      day: `${month}-${part('day')}`,
      month,
    };
  }
}

import type { z } from 'zod';
import { flag, list, section, setting } from '../base/settings.ts';
import { isTimeZone, type Period, WEEKDAYS, type Weekday } from '../base/time-zone.ts';
import { formatSize, parseSize, SIZE_FORM } from '../base/units.ts';

/** What the link to the hub may be used for. */
export interface LinkConfig {
  /** Towards the hub, where no entry of the schedule covers the moment; 0: not limited. */
  bytesPerSecondMax: number;
  /** IANA name of the place whose hours, days and months these are. */
  timeZone: string;
  /** What the estimate of IP bytes is multiplied by. */
  overhead: number;
  /** The first entry that covers the moment counts. */
  schedule: LinkHours[];
  quotas: LinkQuota[];
}

export interface LinkHours {
  days: Weekday[];
  /** Minutes since midnight. */
  fromMinute: number;
  /** Not after `fromMinute`: on the next day. */
  toMinute: number;
  /** 0: not limited. */
  bytesPerSecondMax: number;
  /** Whether anything but live samples may begin. */
  backlog: boolean;
}

/** For both directions together, in every day or month. */
export interface LinkQuota {
  period: Period;
  bytesMax: number;
  /** Of these, kept for live samples. */
  reserveBytes: number;
}

/** At less, a body of 1 MiB that gets the smaller share would not be through within the hour. */
const BYTES_PER_SECOND_MIN = 2000;
const QUOTA_BYTES_MIN = 1_000_000;
const RESERVE_FORM = `a percentage of the quota, 0% to 100%, or ${SIZE_FORM}`;

/** A size; 0 stands for no limit. */
function limit(bytesMin: number, shownMin: string) {
  const limits = `0 (none) or at least ${shownMin}`;
  return setting({ type: 'size', limits }, `${SIZE_FORM}, ${limits}`, (text) => {
    const bytes = parseSize(text);
    return bytes === undefined || (bytes > 0 && bytes < bytesMin) ? undefined : bytes;
  });
}

const bandwidth = () => limit(BYTES_PER_SECOND_MIN, '2kB');
const quota = () => limit(QUOTA_BYTES_MIN, '1MB');

const timeOfDay = () =>
  setting(
    { type: 'time of day', limits: '00:00 to 24:00' },
    'a time of day such as 08:00 or 24:00',
    (text) =>
      /^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/.test(text)
        ? Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
        : undefined,
  );

const daysOfWeek = () =>
  setting(
    { type: 'day of the week', limits: `${WEEKDAYS.join(', ')} or a range such as mon-fri` },
    `one of ${WEEKDAYS.join(', ')} or a range such as mon-fri`,
    parseDays,
  );

/** `fri-mon` goes over the weekend. */
function parseDays(text: string): Weekday[] | undefined {
  const [first, last, ...rest] = text.split('-').map((name) => WEEKDAYS.indexOf(name as Weekday));
  if (first === undefined || first < 0 || last === -1 || rest.length > 0) return undefined;
  const days = 1 + (((last ?? first) - first + WEEKDAYS.length) % WEEKDAYS.length);
  return Array.from({ length: days }, (_, day) => WEEKDAYS[(first + day) % WEEKDAYS.length]!);
}

const OVERHEAD = { min: 0.5, max: 4 };
const OVERHEAD_LIMITS = `${OVERHEAD.min} to ${OVERHEAD.max}, with up to three decimals`;

function parseOverhead(text: string): number | undefined {
  const factor = /^\d(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  return factor >= OVERHEAD.min && factor <= OVERHEAD.max ? factor : undefined;
}

type Reserve = { share: number } | { bytes: number };

function parseReserve(text: string): Reserve | undefined {
  const percent = /^(\d{1,3})%$/.exec(text)?.[1];
  if (percent !== undefined) {
    return Number(percent) <= 100 ? { share: Number(percent) / 100 } : undefined;
  }
  const bytes = parseSize(text);
  return bytes === undefined ? undefined : { bytes };
}

const hoursSection = section({
  days: list(daysOfWeek(), { min: 1 })
    .prefault(['mon-sun'])
    .describe('Days on which it begins; what goes on after midnight belongs to the day before.'),
  from: timeOfDay().prefault('00:00').describe('When it begins.'),
  to: timeOfDay().prefault('24:00').describe('When it ends; earlier than `from`: on the next day.'),
  max_bytes_per_second: bandwidth()
    .optional()
    .describe('As `link.max_bytes_per_second`, which holds where this is absent.'),
  backlog: flag()
    .prefault(true)
    .describe('`false`: nothing but live samples begins; a body under way is finished.'),
}).superRefine(({ from, to }, context) => {
  if (from !== to && from < 24 * 60) return;
  const message = 'a time other than `from`, which is before 24:00; leave both out for whole days';
  context.addIssue({ code: 'custom', path: ['to'], message });
});

const QUOTAS = [
  { key: 'daily_quota', period: 'day' },
  { key: 'monthly_quota', period: 'month' },
] as const;

export const linkSection = section({
  max_bytes_per_second: bandwidth()
    .prefault('0')
    .describe(
      'Towards the hub, in IP bytes as the agent estimates them: TCP, TLS and HTTP included. Live ' +
        'samples are sure of three quarters of it and backlog of one, and either may use what the ' +
        'other leaves.',
    ),
  overhead: setting(
    { type: 'factor', limits: OVERHEAD_LIMITS },
    `a factor such as 1.05, ${OVERHEAD_LIMITS}`,
    parseOverhead,
  )
    .prefault('1')
    .describe(
      'What the estimate is multiplied by, for what it cannot know: tunnels, and packets that are ' +
        'lost and sent again. See docs/operations.md for how to measure it.',
    ),
  schedule: list(hoursSection, { min: 0 })
    .prefault([])
    .describe('Other limits for some hours; the first entry that covers the moment counts.'),
  time_zone: setting(
    { type: 'time zone' },
    'an IANA time zone such as UTC, Asia/Hong_Kong or Europe/Berlin',
    (text) => (isTimeZone(text) ? text : undefined),
  )
    .prefault('UTC')
    .describe('Whose hours the schedule means, and whose midnight ends a day or month.'),
  daily_quota: quota()
    .prefault('0')
    .describe(
      'IP bytes, as estimated, in both directions in a day; then samples wait for the next one.',
    ),
  monthly_quota: quota().prefault('0').describe('Likewise in a month.'),
  live_reserve: setting({ type: 'percentage or size' }, RESERVE_FORM, parseReserve)
    .prefault('50%')
    .describe(
      'Part of each quota that only live samples may use: backlog waits for the next day or ' +
        'month when no more than this is left.',
    ),
}).superRefine((link, context) => {
  const { daily_quota: daily, monthly_quota: monthly } = link;
  if (monthly > 0 && daily > monthly) {
    const message = `at most link.monthly_quota, which is ${formatSize(monthly)}`;
    context.addIssue({ code: 'custom', path: ['daily_quota'], message });
  }
  for (const { key } of QUOTAS) {
    if (!('bytes' in link.live_reserve) || link[key] === 0) continue;
    if (link.live_reserve.bytes <= link[key]) continue;
    const message = `at most link.${key}, which is ${formatSize(link[key])}, or a percentage`;
    context.addIssue({ code: 'custom', path: ['live_reserve'], message });
  }
});

export function toLinkConfig(link: z.infer<typeof linkSection>): LinkConfig {
  const { live_reserve: reserve } = link;
  return {
    bytesPerSecondMax: link.max_bytes_per_second,
    timeZone: link.time_zone,
    overhead: link.overhead,
    schedule: link.schedule.map((hours) => ({
      days: hours.days.flat(),
      fromMinute: hours.from,
      toMinute: hours.to,
      bytesPerSecondMax: hours.max_bytes_per_second ?? link.max_bytes_per_second,
      backlog: hours.backlog,
    })),
    quotas: QUOTAS.filter(({ key }) => link[key] > 0).map(({ key, period }) => ({
      period,
      bytesMax: link[key],
      reserveBytes: 'bytes' in reserve ? reserve.bytes : Math.ceil(reserve.share * link[key]),
    })),
  };
}

import { describe, expect, test } from 'vitest';
import { type LinkConfig, linkSection, toLinkConfig } from '../../agent/link-config.ts';
import { checkConfig } from '../../base/config-file.ts';
import { section } from '../../base/settings.ts';

const schema = section({ link: linkSection }).transform(({ link }) => toLinkConfig(link));

function configOf(link: object): LinkConfig {
  const checked = checkConfig({ link }, schema);
  if (checked.kind === 'errors') throw new Error(checked.lines.join('\n'));
  return checked.value;
}

function errorsOf(link: object): string[] {
  const checked = checkConfig({ link }, schema);
  return checked.kind === 'errors' ? checked.lines : [];
}

describe('the schedule of the link', () => {
  const hoursOf = (hours: object) => configOf({ schedule: [hours] }).schedule[0]!;

  test('takes days, times and a limit of its own', () => {
    const hours = { days: ['mon-fri'], from: '08:00', to: '18:30', max_bytes_per_second: '50kB' };
    expect(hoursOf(hours)).toEqual({
      days: ['mon', 'tue', 'wed', 'thu', 'fri'],
      fromMinute: 480,
      toMinute: 1110,
      bytesPerSecondMax: 50_000,
      backlog: true,
    });
  });

  test.each([
    [['sat'], ['sat']],
    [
      ['sat', 'wed'],
      ['sat', 'wed'],
    ],
    [['fri-mon'], ['fri', 'sat', 'sun', 'mon']],
    [
      ['mon-tue', 'sun'],
      ['mon', 'tue', 'sun'],
    ],
    [['thu-thu'], ['thu']],
  ])('reads the days %j as %j', (days, expected) => {
    expect(hoursOf({ days }).days).toEqual(expected);
  });

  test('has the limit of the link where an entry names none', () => {
    const link = { max_bytes_per_second: '9kB', schedule: [{}, { max_bytes_per_second: 0 }] };
    const limits = configOf(link).schedule.map(({ bytesPerSecondMax }) => bytesPerSecondMax);
    expect(limits).toEqual([9000, 0]);
  });
});

describe('the reserve for live samples', () => {
  test.each([
    ['50%', [5_000_000, 150_000_000]],
    ['0%', [0, 0]],
    ['100%', [10_000_000, 300_000_000]],
    ['1MB', [1_000_000, 1_000_000]],
  ])('%s is taken of each quota', (reserve, expected) => {
    const link = { daily_quota: '10MB', monthly_quota: '300MB', live_reserve: reserve };
    expect(configOf(link).quotas.map(({ reserveBytes }) => reserveBytes)).toEqual(expected);
  });
});

describe('the overhead', () => {
  test.each([
    ['1', 1],
    ['1.05', 1.05],
    [1.1, 1.1],
    ['0.5', 0.5],
    [4, 4],
  ])('%j is a factor', (overhead, expected) => {
    expect(configOf({ overhead }).overhead).toBe(expected);
  });

  test('is 1 by default', () => {
    expect(configOf({}).overhead).toBe(1);
  });

  test.each(['5%', '0.49', '4.001', '1.0001', '-1', 'NaN', '', '1e0', true])(
    '%j is none, and the error says what is',
    (overhead) => {
      const expected = 'expected a factor such as 1.05, 0.5 to 4, with up to three decimals';
      const line = `link.overhead: ${JSON.stringify(overhead)}: ${expected}`;
      expect(errorsOf({ overhead })).toEqual([line]);
    },
  );
});

test.each([
  [
    { max_bytes_per_second: '1kB' },
    'link.max_bytes_per_second: "1kB": expected a size such as 512KiB, 10GiB, 1MB or plain ' +
      'bytes, 0 (none) or at least 2kB',
  ],
  [
    { daily_quota: '1kB' },
    'link.daily_quota: "1kB": expected a size such as 512KiB, 10GiB, 1MB or plain bytes, ' +
      '0 (none) or at least 1MB',
  ],
  [
    { daily_quota: '3GiB', monthly_quota: '2GiB' },
    'link.daily_quota: "3GiB": expected at most link.monthly_quota, which is 2GiB',
  ],
  [
    { live_reserve: '101%' },
    'link.live_reserve: "101%": expected a percentage of the quota, 0% to 100%, or a size such ' +
      'as 512KiB, 10GiB, 1MB or plain bytes',
  ],
  [
    { daily_quota: '10MiB', live_reserve: '11MiB' },
    'link.live_reserve: "11MiB": expected at most link.daily_quota, which is 10MiB, or a ' +
      'percentage',
  ],
  [
    { time_zone: 'Hong Kong' },
    'link.time_zone: "Hong Kong": expected an IANA time zone such as UTC, Asia/Hong_Kong or ' +
      'Europe/Berlin',
  ],
  [
    { schedule: [{ from: '8:00' }] },
    'link.schedule[0].from: "8:00": expected a time of day such as 08:00 or 24:00',
  ],
  [
    { schedule: [{}, { from: '08:00', to: '08:00' }] },
    'link.schedule[1].to: "08:00": expected a time other than `from`, which is before 24:00; ' +
      'leave both out for whole days',
  ],
  [
    { schedule: [{ days: ['mon', 'monday'] }] },
    'link.schedule[0].days[1]: "monday": expected one of mon, tue, wed, thu, fri, sat, sun or a ' +
      'range such as mon-fri',
  ],
  [{ schedule: [{ days: [] }] }, 'link.schedule[0].days: []: expected a list of at least 1'],
  [
    { schedule: [{ rate: '9kB' }] },
    expect.stringMatching(/^link\.schedule\[0\]\.rate: unknown key/),
  ],
  [{ schedule: [{ backlog: 'no' }] }, 'link.schedule[0].backlog: "no": expected true or false'],
])('%j is refused with the reason', (link, line) => {
  expect(errorsOf(link)).toEqual([line]);
});

test.each(['24:01', '7', '12:60', '-1:00', 'noon'])('%s is no time of day', (from) => {
  expect(errorsOf({ schedule: [{ from }] })).toHaveLength(1);
});

test.each(['mon-', '-fri', 'mon-wed-fri', 'MON', ''])('%s is no day', (day) => {
  expect(errorsOf({ schedule: [{ days: [day] }] })).toHaveLength(1);
});

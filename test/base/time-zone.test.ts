import { describe, expect, test } from 'vitest';
import { isTimeZone, TimeZone } from '../../base/time-zone.ts';

const iso = (text: string) => Date.parse(text);

describe('a time zone', () => {
  test.each([
    ['UTC', '2026-11-05T00:00:00Z', 'thu', 0, '2026-11-05'],
    ['Asia/Hong_Kong', '2026-11-05T15:59:59Z', 'thu', 1439, '2026-11-05'],
    ['Asia/Hong_Kong', '2026-11-05T16:00:00Z', 'fri', 0, '2026-11-06'],
    ['Asia/Kolkata', '2026-12-31T18:45:00Z', 'fri', 15, '2027-01-01'],
    ['America/Sao_Paulo', '2026-03-01T02:30:00Z', 'sat', 23 * 60 + 30, '2026-02-28'],
  ])('%s shows at %s what its clocks on the wall show', (name, at, weekday, minute, day) => {
    expect(new TimeZone(name).at(iso(at))).toEqual({
      weekday,
      minute,
      day,
      month: day.slice(0, 7),
    });
  });

  test.each([
    ['UTC', 'day', '2026-11-05T12:00:00Z', '2026-11-06T00:00:00Z'],
    ['UTC', 'day', '2026-11-05T00:00:00Z', '2026-11-06T00:00:00Z'],
    ['UTC', 'day', '2026-11-05T23:59:59.999Z', '2026-11-06T00:00:00Z'],
    ['UTC', 'month', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
    ['UTC', 'month', '2026-12-31T23:59:00Z', '2027-01-01T00:00:00Z'],
    ['Asia/Hong_Kong', 'month', '2026-11-30T17:00:00Z', '2026-12-31T16:00:00Z'],
    // 25 and 23 hours long.
    ['Europe/Berlin', 'day', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    ['Europe/Berlin', 'day', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    // Begins at one, because there was no midnight.
    ['America/Sao_Paulo', 'day', '2018-11-03T12:00:00Z', '2018-11-04T03:00:00Z'],
    // The 30th never came.
    ['Pacific/Apia', 'day', '2011-12-30T01:00:00Z', '2011-12-30T10:00:00Z'],
  ] as const)('%s ends its %s of %s at %s', (name, period, at, end) => {
    expect(new Date(new TimeZone(name).endOf(period, iso(at)))).toEqual(new Date(end));
  });

  test('goes on to the next minute and back again', () => {
    const zone = new TimeZone('UTC');
    const at = iso('2026-11-05T10:00:00Z');
    expect(zone.at(at + 59_999).minute).toBe(600);
    expect(zone.at(at + 60_000).minute).toBe(601);
    expect(zone.at(at - 1).minute).toBe(599);
  });

  test('ends one day after the other, whichever was asked for before', () => {
    const zone = new TimeZone('Asia/Hong_Kong');
    const at = iso('2026-11-30T01:00:00Z');
    const ends = [at, at + 3_600_000, at + 86_400_000, at].map((ms) => zone.endOf('day', ms));
    expect(ends.map((ms) => new Date(ms).toISOString().slice(0, 13))).toEqual([
      '2026-11-30T16',
      '2026-11-30T16',
      '2026-12-01T16',
      '2026-11-30T16',
    ]);
    expect(zone.endOf('month', at)).toBe(iso('2026-11-30T16:00:00Z'));
  });

  test('is known by its IANA name or not at all', () => {
    expect(['UTC', 'Asia/Hong_Kong', 'Europe/Berlin'].map(isTimeZone)).toEqual([true, true, true]);
    expect(['', 'Hong Kong', 'Asia/Hongkong', 'CEST'].map(isTimeZone)).toEqual(
      Array(4).fill(false),
    );
  });
});

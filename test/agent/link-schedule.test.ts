import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LinkHours } from '../../agent/link-config.ts';
import { LinkSchedule } from '../../agent/ship/link-schedule.ts';
import { VirtualTime, WallClock } from '../sim/virtual-time.ts';
import { Workspace } from '../tools/workspace.ts';
import { limits, PacedLink } from './link-fixture.ts';

const HOUR_MS = 3_600_000;

function hours(some: Partial<LinkHours>): LinkHours {
  return {
    days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'],
    fromMinute: 0,
    toMinute: 1440,
    bytesPerSecondMax: 5000,
    backlog: true,
    ...some,
  };
}

const office = hours({ days: ['mon', 'fri'], fromMinute: 8 * 60, toMinute: 18 * 60 });
const ENTRIES = {
  office,
  night: hours({ days: ['fri'], fromMinute: 22 * 60, toMinute: 6 * 60 }),
  friday: hours({ days: ['fri'] }),
  afternoon: hours({ fromMinute: 12 * 60, toMinute: 0 }),
};

describe('the schedule of the link', () => {
  test.each([
    // The fifth of November 2026 is a Thursday.
    ['office', 'UTC', '2026-11-05T12:00:00Z', false],
    ['office', 'UTC', '2026-11-06T07:59:59Z', false],
    ['office', 'UTC', '2026-11-06T08:00:00Z', true],
    ['office', 'UTC', '2026-11-06T17:59:59Z', true],
    ['office', 'UTC', '2026-11-06T18:00:00Z', false],
    ['office', 'Asia/Hong_Kong', '2026-11-06T00:00:00Z', true],
    ['office', 'Asia/Hong_Kong', '2026-11-06T10:00:00Z', false],
    // Berlin leaves summer time on the 25th of October.
    ['office', 'Europe/Berlin', '2026-10-23T06:00:00Z', true],
    ['office', 'Europe/Berlin', '2026-10-26T06:00:00Z', false],
    ['office', 'Europe/Berlin', '2026-10-26T07:00:00Z', true],
    ['night', 'UTC', '2026-11-06T21:59:00Z', false],
    ['night', 'UTC', '2026-11-06T22:00:00Z', true],
    ['night', 'UTC', '2026-11-07T05:59:00Z', true],
    ['night', 'UTC', '2026-11-07T06:00:00Z', false],
    ['night', 'UTC', '2026-11-06T05:00:00Z', false],
    ['night', 'UTC', '2026-11-07T22:00:00Z', false],
    ['friday', 'UTC', '2026-11-06T23:59:00Z', true],
    ['friday', 'UTC', '2026-11-07T00:00:00Z', false],
    ['afternoon', 'UTC', '2026-11-06T23:59:00Z', true],
    ['afternoon', 'UTC', '2026-11-06T00:00:00Z', false],
  ] as const)('covers the %s in %s at %s: %s', (name, timeZone, at, isCovered) => {
    const schedule = new LinkSchedule(
      limits({ bytesPerSecondMax: 9000, timeZone, schedule: [ENTRIES[name]] }),
    );
    expect(schedule.at(Date.parse(at)).bytesPerSecondMax).toBe(isCovered ? 5000 : 9000);
  });

  test('is what its first entry says that covers the moment', () => {
    const schedule = new LinkSchedule(
      limits({ schedule: [ENTRIES.night, hours({ bytesPerSecondMax: 7000 }), hours({})] }),
    );
    expect(schedule.at(Date.parse('2026-11-06T23:00:00Z')).bytesPerSecondMax).toBe(5000);
    expect(schedule.at(Date.parse('2026-11-06T12:00:00Z')).bytesPerSecondMax).toBe(7000);
  });
});

describe('when the hour changes', () => {
  let workspace: Workspace;
  let time: VirtualTime;
  let clock: WallClock;
  beforeEach(() => {
    workspace = new Workspace('link-schedule');
    time = new VirtualTime();
    // A Friday.
    clock = new WallClock(time, Date.parse('2026-11-06T07:59:50Z'));
  });
  afterEach(() => workspace.close());
  const open = (bytesPerSecondMax: number, entry: LinkHours) =>
    new PacedLink({ bytesPerSecondMax, schedule: [entry] }, workspace.folder, clock);

  test('a body that is under way goes on at the new limit', async () => {
    const link = open(20_000, office);
    // Ten seconds at 20 kB/s, then 5 kB/s.
    await time.run(link.send(300_000, 'live'));
    expect(time.elapsedMs).toBeGreaterThan(29_000);
    expect(time.elapsedMs).toBeLessThan(31_000);
  });

  test('a body that crept goes at once where there is no limit any more', async () => {
    const link = open(5000, { ...office, bytesPerSecondMax: 0 });
    await time.run(link.send(300_000, 'live'));
    expect(time.elapsedMs).toBe(10_000);
  });

  test('a limit begins with nothing saved up and nothing owed', async () => {
    const link = open(0, office);
    await time.run(link.send(5_000_000, 'live'));
    expect(time.elapsedMs).toBe(0);
    await time.run(clock.sleep(10_000));
    await time.run(link.send(5000, 'live'));
    expect(time.elapsedMs).toBeGreaterThanOrEqual(11_000);
    expect(time.elapsedMs).toBeLessThan(11_100);
  });

  test('backlog that may not pass waits to the minute, and live samples do not', async () => {
    const link = open(20_000, { ...office, backlog: false });
    await time.run(clock.sleep(10_000));
    const backlog = link.send(1000, 'backlog');
    await time.run(link.send(1000, 'live'));
    expect(time.elapsedMs).toBeLessThan(10_500);
    expect(link.pacer.stats()).toMatchObject({
      waiting: [{ traffic: 'backlog', hold: 'schedule' }],
      isBacklogOpen: false,
    });
    await time.run(backlog);
    expect(time.elapsedMs - 10_000).toBeGreaterThanOrEqual(10 * HOUR_MS);
    expect(time.elapsedMs - 10_000).toBeLessThan(10 * HOUR_MS + 1000);
  });

  test('backlog that is under way is finished', async () => {
    const link = open(20_000, { ...office, backlog: false });
    await time.run(link.send(400_000, 'backlog'));
    // Ten seconds at 20 kB/s, then 5 kB/s.
    expect(time.elapsedMs).toBeLessThan(51_000);
    expect(link.sentBytes('backlog')).toBe(400_000);
  });

  test('backlog passes within a minute when the clock is set to another hour', async () => {
    const link = open(20_000, { ...office, backlog: false });
    await time.run(clock.sleep(10_000));
    const backlog = link.send(1000, 'backlog');
    await time.run(clock.sleep(1000));
    clock.step(-HOUR_MS);
    await time.run(backlog);
    expect(time.elapsedMs).toBeLessThan(80_000);
  });
});

import { describe, expect, test } from 'vitest';
import { HubClock } from '../../agent/hub-clock.ts';
import { SettableClock } from '../tools/settable-clock.ts';
import { T0 } from './buffer-fixture.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

function open(offsetMs = 0) {
  const clock = new SettableClock(T0 + offsetMs);
  return { clock, hubClock: new HubClock(clock) };
}

describe('before the hub was heard', () => {
  test('nothing is known, and nothing confirmed', () => {
    const { clock, hubClock } = open();
    expect([hubClock.now(), hubClock.aheadMs(), hubClock.confirmed()]).toEqual(
      Array(3).fill(undefined),
    );
    expect(hubClock.isKnown).toBe(false);
    expect(hubClock.likelyNow()).toBe(clock.ownMs);
  });

  test('an answer without a time, as a proxy makes one up, is no word of a hub', () => {
    const { hubClock } = open();
    hubClock.hear(0);
    expect(hubClock.isKnown).toBe(false);
  });
});

describe('once the hub was heard', () => {
  test.each([
    ['at 1970', -T0 + 5000],
    ['a year ahead', YEAR_MS],
    ['two minutes behind', -120_000],
  ])('its time is believed by a machine whose clock is %s, and confirms nothing', (_, offsetMs) => {
    const { clock, hubClock } = open(offsetMs);
    hubClock.hear(T0);
    clock.pass(HOUR_MS);
    expect(hubClock.isKnown).toBe(true);
    expect(hubClock.now()).toBe(T0 + HOUR_MS);
    expect(hubClock.likelyNow()).toBe(T0 + HOUR_MS);
    expect(hubClock.aheadMs()).toBe(-offsetMs);
    expect(hubClock.confirmed()).toBeUndefined();
  });

  test('it confirms a clock that is about right, for as long as it is away', () => {
    const { clock, hubClock } = open(30_000);
    hubClock.hear(T0);
    clock.pass(YEAR_MS);
    const latestMs = clock.ownMs;
    expect(hubClock.confirmed()).toEqual({ earliestMs: latestMs - 30_000, latestMs });
  });

  test.each([
    ['is set forward', (clock: SettableClock) => (clock.ownMs += HOUR_MS)],
    ['is set back', (clock: SettableClock) => (clock.ownMs -= HOUR_MS)],
    [
      'is set little by little',
      (clock: SettableClock) => {
        for (let step = 0; step < 10; step++) {
          clock.pass(1000);
          clock.ownMs += 10_000;
        }
      },
    ],
  ])('a clock that %s puts all in doubt until the hub is heard again', (_, set) => {
    const { clock, hubClock } = open();
    hubClock.hear(T0);
    set(clock);
    expect([hubClock.isKnown, hubClock.confirmed()]).toEqual([false, undefined]);
    expect(hubClock.likelyNow()).toBe(clock.ownMs);
    hubClock.hear(clock.ownMs);
    const ownMs = clock.ownMs;
    const time = { earliestMs: ownMs, latestMs: ownMs };
    expect([hubClock.isKnown, hubClock.confirmed()]).toEqual([true, time]);
  });
});

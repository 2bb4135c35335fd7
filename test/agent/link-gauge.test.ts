import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LinkGauge } from '../../agent/ship/link-gauge.ts';

const CONNECT_TIMEOUT_MS = 5000;

let gauge: LinkGauge;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  gauge = new LinkGauge(CONNECT_TIMEOUT_MS);
});
afterEach(() => vi.useRealTimers());

function settle(roundTripMs: number): void {
  for (let n = 0; n < 50; n++) gauge.answeredAtOnce(roundTripMs);
}

/** Limits of attempts in a row, each of which is reached. */
function limits(count: number): number[] {
  return Array.from({ length: count }, () => {
    const ms = gauge.promptLimitMs();
    gauge.notAnsweredAtOnce();
    return ms;
  });
}

describe('the limit for what is answered at once', () => {
  test('is as configured until something was measured', () => {
    expect(gauge.promptLimitMs()).toBe(CONNECT_TIMEOUT_MS);
  });

  test('is twice a round trip with its spread, and a second and a half at least', () => {
    settle(1);
    expect(gauge.promptLimitMs()).toBe(1500);
    settle(1000);
    expect(gauge.promptLimitMs()).toBeGreaterThanOrEqual(2000);
    expect(gauge.promptLimitMs()).toBeLessThan(2100);
  });

  test('stays short while the link is silent, but for every fourth attempt', () => {
    settle(300);
    vi.advanceTimersByTime(6000);
    expect(limits(8)).toEqual([1500, 1500, 1500, 5000, 1500, 1500, 1500, 5000]);
  });

  test('grows while others move, beyond what is configured: their bytes stand in queues', () => {
    settle(300);
    expect(limits(6)).toEqual([1500, 3000, 6000, 12_000, 20_000, 20_000]);
    gauge.answeredAtOnce(300);
    expect(gauge.promptLimitMs()).toBe(1500);
  });
});

describe('the size of bodies', () => {
  test('is not limited before one has crossed', () => {
    expect(gauge.bodyBytes('live')).toBe(Number.POSITIVE_INFINITY);
    gauge.crossed('live', 1000, 50, true);
    expect(gauge.bodyBytes('live')).toBe(Number.POSITIVE_INFINITY);
  });

  test('is what crosses in ten seconds, for each traffic', () => {
    gauge.crossed('backlog', 100_000, 20_000, true);
    expect(gauge.bodyBytes('backlog')).toBe(50_000);
    expect(gauge.bodyBytes('live')).toBe(Number.POSITIVE_INFINITY);
  });

  test('falls at once, also before a body that is too slow is through, and rises by steps', () => {
    gauge.crossed('live', 100_000, 1000, true);
    expect(gauge.bodyBytes('live')).toBe(1_000_000);
    gauge.crossed('live', 100_000, 9000, false);
    expect(gauge.bodyBytes('live')).toBe(1_000_000);
    gauge.crossed('live', 100_000, 50_000, false);
    expect(gauge.bodyBytes('live')).toBe(20_000);
    gauge.crossed('live', 20_000, 1000, true);
    expect(gauge.bodyBytes('live')).toBe(110_000);
  });

  test('is never less than a few kilobytes', () => {
    gauge.crossed('live', 100_000, 10_000_000, true);
    expect(gauge.bodyBytes('live')).toBe(8192);
  });
});

test('patience with a batch follows how long answers take, and its bytes', () => {
  expect(gauge.patienceMs('live', 0)).toBe(5000);
  for (let n = 0; n < 50; n++) gauge.answered('live', 100);
  expect(gauge.patienceMs('live', 0)).toBe(1500);
  for (let n = 0; n < 50; n++) gauge.answered('live', 60_000);
  expect(gauge.patienceMs('live', 0)).toBe(20_000);
  gauge.crossed('live', 10_000, 10_000, true);
  expect(gauge.patienceMs('live', 5000)).toBe(30_000);
});

describe('how many packs share the link', () => {
  const packs = (count: number): void => {
    for (let n = 0; n < count; n++) gauge.crossed('backlog', 50_000, 10_000, true);
  };

  test('grows from three to six while live batches are quick', () => {
    expect(gauge.atOnce('backlog')).toBe(3);
    packs(8);
    gauge.crossed('live', 5000, 9000, true);
    expect(gauge.atOnce('backlog')).toBe(4);
    packs(60);
    expect(gauge.atOnce('backlog')).toBe(6);
  });

  test('is halved by each live batch that takes too long, down to one', () => {
    packs(60);
    const live = (isThrough: boolean): number => {
      gauge.crossed('live', 5000, 16_000, isThrough);
      return gauge.atOnce('backlog');
    };
    expect([live(false), live(true), live(true), live(true), live(true)]).toEqual([6, 3, 1, 1, 1]);
    packs(8);
    expect(gauge.atOnce('backlog')).toBe(2);
  });
});

import { expect, test } from 'vitest';
import { Backoff } from '../../base/backoff.ts';
import type { Random } from '../../base/random.ts';

const always = (float: number): Random => ({ float: () => float, id64: () => 1n });

test('the ceiling of the wait doubles from min to max and starts anew after a success', () => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1000 }, always(0.999999));
  const waits = Array.from({ length: 6 }, () => Math.round(backoff.next()));
  expect(waits).toEqual([100, 200, 400, 800, 1000, 1000]);
  backoff.reset();
  expect(Math.round(backoff.next())).toBe(100);
});

test('full jitter draws the wait from the whole range below the ceiling', () => {
  const low = new Backoff({ minMs: 100, maxMs: 1000 }, always(0));
  expect([low.next(), low.next()]).toEqual([0, 0]);
});

test('a wait the peer asked for is never undercut, whatever max says', () => {
  for (const float of [0, 0.5, 0.999]) {
    const backoff = new Backoff({ minMs: 100, maxMs: 1000 }, always(float));
    const waitMs = backoff.next(60_000);
    expect(waitMs).toBeGreaterThanOrEqual(60_000);
    expect(waitMs).toBeLessThanOrEqual(75_000);
  }
});

test('after a wait the peer asked for the ceiling is twice that wait, at most max', () => {
  const backoff = new Backoff({ minMs: 100, maxMs: 5000 }, always(0));
  expect(backoff.next(1000)).toBe(1000);
  const half = new Backoff({ minMs: 100, maxMs: 5000 }, always(0.5));
  half.next(1000);
  expect(half.next()).toBe(1125);
  half.next(60_000);
  expect(half.next()).toBe(2500);
});

test('a Retry-After of zero leaves the usual backoff', () => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1000 }, always(0.5));
  expect([backoff.next(0), backoff.next()]).toEqual([50, 100]);
});

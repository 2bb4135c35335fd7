import { expect, test } from 'vitest';
import { TimeCover } from '../../hub/write/time-cover.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { pick } from './series-fixture.ts';

const MINUTE_MS = 60_000;

/** The gap at a time, looked for in plain sight. */
function plainGap(times: readonly number[], at: number, gapMs: number) {
  const below = times.filter((time) => time <= at);
  const above = times.filter((time) => time >= at);
  const oldest = Math.max(...below);
  const newest = Math.min(...above);
  if (below.includes(at) || newest - oldest <= gapMs) return undefined;
  return { oldest, newest };
}

test.each(['one', 'two', 'three'])('gaps are those between the times (seed %s)', (seed) => {
  const random = seededRandom(`cover ${seed}`);
  const cover = new TimeCover();
  const times: number[] = [];
  for (let step = 0; step < 400; step++) {
    const time = pick(random, 300) * MINUTE_MS;
    cover.add(time);
    times.push(time);
    const at = pick(random, 310 * 60) * 1000;
    expect(cover.gapAt(at)).toEqual(plainGap(times, at, 5 * MINUTE_MS));
    expect(cover.newest).toBe(Math.max(...times));
  }
});

test('nothing covers nothing', () => {
  const cover = new TimeCover();
  expect(cover.newest).toBe(Number.NEGATIVE_INFINITY);
  expect(cover.gapAt(5)).toEqual({ oldest: -Infinity, newest: Infinity });
});

test('of many gaps the oldest are forgotten', () => {
  const cover = new TimeCover();
  for (let hour = 0; hour < 100; hour++) cover.add(hour * 60 * MINUTE_MS);
  const gaps = Array.from({ length: 99 }, (_, hour) =>
    cover.gapAt((hour * 60 + 30) * MINUTE_MS) === undefined ? 'covered' : 'gap',
  );
  expect(gaps).toEqual([...Array(36).fill('covered'), ...Array(63).fill('gap')]);
});

import { expect, test } from 'vitest';
import { SizeLimit } from '../../agent/ship/size-limit.ts';
import { StillClock } from './buffer-fixture.ts';

const TEN_MINUTES_MS = 600_000;

test('half of what was refused may do, and every ten minutes twice as much', () => {
  const clock = new StillClock();
  const sizes = new SizeLimit(clock);
  expect(sizes.bytesMax).toBe(Number.POSITIVE_INFINITY);
  sizes.refused(100_000);
  expect(sizes.bytesMax).toBe(50_000);
  // It was made before, and says nothing new.
  sizes.refused(120_000);
  expect(sizes.bytesMax).toBe(50_000);
  sizes.refused(50_000);
  expect(sizes.bytesMax).toBe(25_000);
  clock.ms += TEN_MINUTES_MS - 1;
  expect(sizes.bytesMax).toBe(25_000);
  clock.ms += 1;
  expect(sizes.bytesMax).toBe(50_000);
  sizes.refused(40_000);
  expect(sizes.bytesMax).toBe(20_000);
});

test('there is a least size', () => {
  const sizes = new SizeLimit(new StillClock());
  sizes.refused(1000);
  sizes.refused(10);
  expect(sizes.bytesMax).toBe(512);
});

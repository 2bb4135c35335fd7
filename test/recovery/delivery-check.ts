import { expect } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { chainTenant } from '../e2e/chain.ts';
import type { CheckingDestination } from '../tools/checking-destination.ts';
import { compareSamples, type SamplesBySeries, sampleCount } from '../tools/compare.ts';
import type { NumberedWriter } from './numbered-writer.ts';

const deliverMsMax = 60_000;
const pollMs = 50;

/**
 * Waits until the destination holds as many samples as the writers were promised, then compares:
 * nothing acknowledged is missing, nothing is under a wrong label, bits are equal, and of every
 * series the samples arrived in order. What arrived more than once was repeated exactly.
 */
export async function expectDelivered(
  destination: CheckingDestination,
  writers: readonly NumberedWriter[],
): Promise<void> {
  const expected: SamplesBySeries = new Map(writers.flatMap((writer) => [...writer.expected()]));
  const endsAt = systemClock.now() + deliverMsMax;
  const arrived = () => destination.samples(chainTenant);
  // At the deadline the comparison names what is missing.
  while (sampleCount(arrived()) < sampleCount(expected) && systemClock.now() < endsAt) {
    await systemClock.sleep(pollMs);
  }
  expect(compareSamples(expected, arrived())).toEqual([]);
  expect(destination.outOfOrder).toEqual([]);
  expect(destination.violations).toEqual([]);
}

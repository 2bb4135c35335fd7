import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { expectDelivered } from './delivery-check.ts';
import {
  breakEverything,
  cutLink,
  type Fault,
  failDestination,
  failEveryOther,
  killAgent,
  killFullHub,
  killHub,
  loseAnswer,
  restartHub,
  silenceLink,
} from './faults.ts';
import { deliveredMore, type Journey, startJourney, whileWriting } from './journey.ts';
import { readMetric } from './read-metric.ts';

const testMsMax = 90_000;
const roundsEach = 2;

describe('nothing acknowledged is missing and every series is in order', () => {
  const workspace = new Workspace('faults');
  let journey: Journey;

  beforeAll(async () => {
    journey = await startJourney(workspace);
  });
  afterAll(() => workspace.close());

  /** The fault strikes while samples flow, and samples flow again after it. */
  async function suffer(fault: Fault, rounds: number): Promise<void> {
    await whileWriting(journey, async () => {
      for (let round = 0; round < rounds; round++) {
        await deliveredMore(journey, 3);
        await fault(journey);
      }
      await deliveredMore(journey, 3);
    });
    await expectDelivered(journey.destination, [journey.writer]);
  }

  test.for([
    ['the link was cut for a while', cutLink],
    ['answers of the hub were lost', loseAnswer],
    ['the link was silent for a while', silenceLink],
    ['the hub was restarted', restartHub],
    ['the hub was killed with kill -9', killHub],
    ['the hub was killed while the destination took nothing', killFullHub],
    ['the agent was killed with kill -9', killAgent],
    ['the destination answered 500 for a while', failDestination],
    ['the destination answered 500 to every other request', failEveryOther],
  ] as const)('after %s', { timeout: testMsMax }, async ([, fault]) => {
    await suffer(fault, roundsEach);
  });

  test('after all of it at once', { timeout: testMsMax }, async () => {
    const random = seededRandom(seedOfRun());
    await whileWriting(journey, async () => {
      await breakEverything(journey, random, 1);
      await deliveredMore(journey, 3);
    });
    await expectDelivered(journey.destination, [journey.writer]);
  });

  test('and the agent has counted no loss', async () => {
    const { url } = journey.agent;
    for (const reason of ['age', 'bytes', 'damaged']) {
      const series = `starferry_agent_evicted_samples_total{reason="${reason}"}`;
      expect(await readMetric(url, series)).toBe(0);
    }
    expect(await readMetric(url, 'starferry_agent_vanished_segments_total')).toBe(0);
  });
});

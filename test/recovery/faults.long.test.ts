import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Random } from '../../base/random.ts';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';
import { flap } from '../tools/tcp-proxy.ts';
import { Workspace } from '../tools/workspace.ts';
import { expectDelivered } from './delivery-check.ts';
import { breakEverything, failDestination, killAgent, killHub, restartHub } from './faults.ts';
import { deliveredMore, type Journey, startJourney, whileWriting } from './journey.ts';

const kills = 20;
const rounds = 10;

describe('nothing acknowledged is missing and every series is in order', () => {
  let workspace: Workspace;
  let journey: Journey;

  beforeEach(async () => {
    workspace = new Workspace('faults-long');
    journey = await startJourney(workspace);
  });
  afterEach(() => workspace.close());

  test('after twenty kills of agent and hub over a flapping link', async () => {
    const seed = seedOfRun();
    await whileWriting(journey, async () => {
      const calm = new AbortController();
      const limits = { upMsMax: 2000, downMsMax: 1000 };
      const flapping = flap(journey.proxy, seededRandom(`${seed}/link`), limits, calm.signal);
      try {
        await killAgainAndAgain(seededRandom(`${seed}/kills`));
      } finally {
        calm.abort();
        await flapping;
      }
    });
    await expectDelivered(journey.destination, [journey.writer]);
    expect(journey.proxy.cuts).toBeGreaterThan(kills);
  });

  test('after every part was broken ten times in every way, all at once', async () => {
    const random = seededRandom(seedOfRun());
    await whileWriting(journey, () => breakEverything(journey, random, rounds));
    await expectDelivered(journey.destination, [journey.writer]);
  });

  async function killAgainAndAgain(random: Random): Promise<void> {
    for (let kill = 0; kill < kills; kill++) {
      await deliveredMore(journey, 1 + Math.floor(random.float() * 10));
      await (random.float() < 0.6 ? killAgent : killHub)(journey);
      if (random.float() < 0.2) await failDestination(journey);
      if (random.float() < 0.1) await restartHub(journey);
    }
  }
});

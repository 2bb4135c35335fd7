import { afterAll, beforeAll, describe, test } from 'vitest';
import { Workspace } from '../tools/workspace.ts';
import {
  damagesWhileRunning,
  damagesWhileStopped,
  damageWhileRunning,
  damageWhileStopped,
} from './damaged-buffer.ts';
import { type Journey, startJourney } from './journey.ts';

const testMsMax = 90_000;

describe('an agent whose buffer is damaged goes on by itself, and what it acknowledged arrives', () => {
  const workspace = new Workspace('damaged-buffer');
  let journey: Journey;

  beforeAll(async () => {
    journey = await startJourney(workspace);
  });
  afterAll(() => workspace.close());

  test.for(damagesWhileRunning.slice(1))(
    'while it ran: %s',
    { timeout: testMsMax },
    async (damage) => {
      await damageWhileRunning(journey, damage);
    },
  );

  test.for(damagesWhileStopped.slice(1))(
    'after a kill: %s',
    { timeout: testMsMax },
    async (damage) => {
      await damageWhileStopped(journey, damage);
    },
  );
});

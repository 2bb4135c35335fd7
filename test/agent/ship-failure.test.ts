import { expect, test } from 'vitest';
import { DamagedBufferError } from '../../agent/buffer/damage.ts';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import { Workspace } from '../tools/workspace.ts';
import { HastyClock, startAgent } from './ship-fixture.ts';

const stopped: HubReply = { kind: 'unreachable', message: 'stopped' };

/** The first to ask waits until it is told to stop, the second one fails. */
class BreakingLink extends UnmeasuredLink {
  readonly error = new DamagedBufferError('malformed');
  asked = 0;
  waiting = 0;

  async postBatch(): Promise<HubReply> {
    return stopped;
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    if (++this.asked > 1) throw this.error;
    this.waiting++;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    this.waiting--;
    return stopped;
  }
}

test('when one tenant finds the buffer damaged, the loops of the others end as well', async () => {
  const workspace = new Workspace('ship-failure');
  const link = new BreakingLink();
  const agent = startAgent(workspace.folder, link, new HastyClock(), 'failure');
  for (const tenant of ['a', 'b']) agent.append(tenant, [['up', 1_800_000_000_000, 1]]);
  await expect(agent.running).rejects.toBe(link.error);
  expect(link.waiting).toBe(0);
  agent.buffer.close();
  await workspace.close();
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { startSwitch } from './link-fixture.ts';
import { startAgent, startHub, unlimitedClient, waiting } from './ship-fixture.ts';

/** A link in the other direction tells nothing for so long, if nobody looks. */
const REQUEST_TIMEOUT_MS = 60_000;
const PATIENCE_MS = 9000;

let workspace: Workspace;
beforeAll(() => {
  workspace = new Workspace('ship-silence');
});
afterAll(() => workspace.close());

// Up: the batch never arrives. Down: it is written, and the answer does not come back.
test.concurrent.each(['up', 'down'] as const)(
  'a connection dies %s: the batch is soon through, once',
  async (direction) => {
    const destination = new RecordingDestination();
    const hub = await startHub(workspace.subfolder(`hub ${direction}`), destination.post);
    const { url, links, stall } = await startSwitch(workspace, Number(new URL(hub.url).port));
    const client = unlimitedClient(
      { urls: [url], requestTimeoutMs: REQUEST_TIMEOUT_MS },
      systemClock,
    );
    const folder = workspace.subfolder(`agent ${direction}`);
    const agent = startAgent(folder, client, systemClock, 'silence', { maxDelayMs: 100 });
    const delivered = () => until('the sample', PATIENCE_MS, () => waiting(agent) === 0);
    const now = Date.now();
    for (let at = 0; at < 3; at++) {
      agent.append('', [['up', now + at, at]]);
      await delivered();
    }
    const before = links.length;
    stall(direction);
    agent.append('', [['up', now + 3, 3]]);
    await delivered();
    expect(links.length).toBeGreaterThan(before);
    expect(destination.stored.map((line) => Number(line.split('@').at(-1)) - now)).toEqual([
      0, 1, 2, 3,
    ]);
    await agent.end();
    await client.close();
    await hub.end();
  },
  20_000,
);

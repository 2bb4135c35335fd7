import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedOfRun } from '../tools/seeded-random.ts';
import { compareStored, type Stored } from '../tools/stored-series.ts';
import { Workspace } from '../tools/workspace.ts';
import { startChain } from './chain.ts';
import {
  histogramKinds,
  readStoredWhenCaughtUp,
  runSender,
  type Sender,
  startNativeDestination,
} from './native-flow.ts';

const catchUpMsMax = 20_000;

interface Row {
  sender: Sender;
  version: string;
  /** What hubs write, each to a destination of its own. */
  protocols: string[];
  kinds: string[];
}

/** What the direct test shows equal without Starferry is equal with Starferry in between. */
describe.each<Row>([
  {
    sender: 'server of version 3',
    version: '2.0',
    protocols: ['v1', 'v2'],
    kinds: ['custom buckets'],
  },
  { sender: 'agent of version 2', version: '1.0', protocols: ['v1'], kinds: [] },
])('a Prometheus $sender that writes remote write $version', (row) => {
  const workspaces: Workspace[] = [];
  const found = new Map<string, Stored>();
  let expected: Stored;

  function newWorkspace(name: string): Workspace {
    const workspace = new Workspace(`remote-write-2-${name}`);
    workspaces.push(workspace);
    return workspace;
  }

  /** Agent, hub and a Prometheus to write into. */
  async function startJourney(protocol: string) {
    const workspace = newWorkspace(protocol);
    const destination = await startNativeDestination(workspace, 'destination');
    const url = `${destination.url}/api/v1/write`;
    const { writeUrl } = await startChain(workspace, {
      destination: { kind: 'prometheus', url, protocol },
    });
    return { protocol, destination, writeUrl };
  }

  beforeAll(async () => {
    const workspace = newWorkspace('sender');
    const directly = await startNativeDestination(workspace, 'directly');
    const journeys = await Promise.all(row.protocols.map(startJourney));
    const { window } = await runSender(workspace, {
      sender: row.sender,
      seed: seedOfRun(),
      directly,
      urls: journeys.map(({ writeUrl }) => writeUrl),
    });
    expected = await directly.readStored(window.fromMs, window.toMs);
    for (const { protocol, destination } of journeys) {
      const stored = await readStoredWhenCaughtUp(destination, window, expected, catchUpMsMax);
      found.set(protocol, stored);
    }
  }, 120_000);
  afterAll(() => Promise.all(workspaces.map((workspace) => workspace.close())));

  test('has histograms of every kind, exemplars and samples', () => {
    const kinds = ['integer', 'float', 'gauge', 'stale', ...row.kinds];
    expect([...histogramKinds(expected)]).toEqual(expect.arrayContaining(kinds));
    expect(expected.exemplars.size).toBeGreaterThanOrEqual(5);
    expect(expected.samples.size).toBeGreaterThanOrEqual(400);
  });

  test.each(row.protocols)(
    'finds all of it where a hub writes %s as where it writes itself',
    (protocol) => {
      expect(compareStored(expected, found.get(protocol)!)).toEqual([]);
    },
  );
});

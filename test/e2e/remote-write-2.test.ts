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

/** What the direct test shows equal without Starferry is equal with Starferry in between. */
describe.each<{ sender: Sender; version: string; protocol: string; kinds: string[] }>([
  { sender: 'server of version 3', version: '2.0', protocol: 'v1', kinds: ['custom buckets'] },
  { sender: 'server of version 3', version: '2.0', protocol: 'v2', kinds: ['custom buckets'] },
  { sender: 'agent of version 2', version: '1.0', protocol: 'v1', kinds: [] },
])(
  'a Prometheus $sender that writes remote write $version, and a hub that writes $protocol',
  (row) => {
    const workspace = new Workspace('remote-write-2');
    let expected: Stored;
    let found: Stored;

    beforeAll(async () => {
      const directly = await startNativeDestination(workspace, 'directly');
      const destination = await startNativeDestination(workspace, 'destination');
      const { writeUrl } = await startChain(workspace, {
        destination: {
          kind: 'prometheus',
          url: `${destination.url}/api/v1/write`,
          protocol: row.protocol,
        },
      });
      const { window } = await runSender(workspace, {
        sender: row.sender,
        seed: seedOfRun(),
        directly,
        urls: [writeUrl],
      });
      expected = await directly.readStored(window.fromMs, window.toMs);
      found = await readStoredWhenCaughtUp(destination, window, expected, catchUpMsMax);
    }, 120_000);
    afterAll(() => workspace.close());

    test('has histograms of every kind, exemplars and samples', () => {
      const kinds = ['integer', 'float', 'gauge', 'stale', ...row.kinds];
      expect([...histogramKinds(expected)]).toEqual(expect.arrayContaining(kinds));
      expect(expected.exemplars.size).toBeGreaterThanOrEqual(5);
      expect(expected.samples.size).toBeGreaterThanOrEqual(400);
    });

    test('finds all of it there as where it writes directly', () => {
      expect(compareStored(expected, found)).toEqual([]);
    });
  },
);

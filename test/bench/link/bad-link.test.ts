import { expect, onTestFinished, test } from 'vitest';
import { BadLink } from '../../../bench/link/bad-link.ts';
import { FAR_ADDRESS, makeEnds, missingForLinks } from '../../../bench/link/namespaces.ts';
import { StationProcess } from '../../../bench/link/station-process.ts';
import { until } from '../../tools/until.ts';
import { Workspace } from '../../tools/workspace.ts';

const missing = missingForLinks();

const NAME = 'kernel TCP crosses a link, is counted and is cut';

// Most machines let nobody make network namespaces; the model itself is tested everywhere.
test(NAME, async ({ skip }) => {
  skip(missing !== undefined, missing);
  const workspace = new Workspace('bad-link');
  onTestFinished(() => workspace.close());
  const ends = makeEnds(workspace, 'reno');
  const link = await BadLink.start(workspace, ends, 1);
  link.take([[0, { rate: 1e6, delay: 0.2 }]]);
  const near = new StationProcess(workspace, ends.near);
  const far = new StationProcess(workspace, ends.far);
  // A relay to where nobody listens: it takes a connection and ends it.
  await far.call('countSends', { port: 80, hubPort: 81 });
  const startedMs = performance.now();
  expect((await near.call('get', `http://${FAR_ADDRESS}/`)).status).toBe(0);
  // The handshake, and the request with the end that follows it, take a round trip each.
  expect(performance.now() - startedMs).toBeGreaterThan(600);
  const before = await link.counts();
  expect(before.up.syns).toBe(1);
  expect(before.down.syns).toBe(0);
  for (const { bytes, packets } of [before.up, before.down]) {
    expect(packets).toBeGreaterThan(1);
    expect(bytes).toBeGreaterThanOrEqual(packets * 40);
  }
  link.take([[0, { up: false }]]);
  const asking = near.call('get', `http://${FAR_ADDRESS}/`);
  await until('a packet to be cut', 20_000, async () => (await link.counts()).up.cut > 0);
  const { syns } = (await link.counts()).up;
  link.take([[0, { up: true }]]);
  // The kernel tries again after a second, and after three.
  await until('another attempt', 20_000, async () => (await link.counts()).up.syns > syns);
  await asking;
  expect(link.returnsMs).toHaveLength(1);
}, 60_000);

test('what is missing is said in one line', () => {
  if (missing === undefined) return;
  expect(missing).toMatch(/^bad links need root, python3, .*missing here: \w/);
  expect(missing).not.toContain('\n');
});

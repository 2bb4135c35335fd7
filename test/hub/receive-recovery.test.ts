import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeHubState } from '../../proto/answer.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  AGENT,
  AgentDouble,
  gist,
  RecordingDestination,
  type RunningReceiver,
  settle,
  startReceiver,
} from './receive-fixture.ts';

const STREAM = 77n;

let workspace: Workspace;
let dataDir: string;
let destination: RecordingDestination;
let hub: RunningReceiver;
let agent: AgentDouble;

beforeEach(() => {
  workspace = new Workspace('receive');
  dataDir = workspace.subfolder('hub');
  destination = new RecordingDestination();
  hub = startReceiver(dataDir, destination.post);
  agent = new AgentDouble(1n);
  agent.series('up');
  agent.series('down');
});
afterEach(async () => {
  hub.kill();
  await workspace.close();
});

const send = (frame: Uint8Array) => hub.receiver.receive(AGENT, frame, '192.0.2.1:5');
const gistOf = async (frame: Uint8Array) => gist(await send(frame));

describe('a new stream', () => {
  test('writes its first sample only when nothing of the old one is in flight', async () => {
    destination.hold();
    const old = send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    await settle();
    // Several series, so that some are on other lanes than the one that waits anyway.
    const others = Array.from({ length: 8 }, (_, n) => agent.series(`other_${n}`));
    const rows = others.map((id): [number, number] => [id, 20]);
    const young = send(agent.live(STREAM + 1n, 0, rows, [2, 2], { mayBeRedelivered: true }));
    await settle();
    expect(destination.requests).toBe(1);
    destination.release();
    await Promise.all([old, young]);
    const timestamps = destination.stored.map((sample) => sample.split('@')[1]);
    expect(timestamps).toEqual(['10', ...others.map(() => '20')]);
  });

  test('does not write what the old one was answered for meanwhile', async () => {
    destination.hold();
    const old = send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    await settle();
    const young = send(agent.live(STREAM + 1n, 0, [[0, 10]], [1, 1], { mayBeRedelivered: true }));
    await settle();
    destination.release();
    await Promise.all([old, young]);
    expect(destination.stored).toHaveLength(1);
  });

  test('gives way to a newer one that comes while it waits', async () => {
    destination.hold();
    const open = (n: number) =>
      send(agent.live(STREAM + BigInt(n), 0, [[0, 10 + n]], [1 + n, 1 + n]));
    const first = open(0);
    await settle();
    const streams = [first, open(1), open(2)];
    await settle();
    destination.release();
    const replies = (await Promise.all(streams)).map(gist);
    expect(replies.slice(1)).toEqual(['409 unknown stream', '200 accepted 1 redelivered 0']);
    expect(destination.stored.map((sample) => sample.split('@')[1])).toEqual(['10', '12']);
  });
});

describe('a hub that was killed', () => {
  test('gives up what it writes; its successor takes the samples in a new stream', async () => {
    destination.hold();
    const lost = send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    await settle();
    hub.kill();
    expect(gist(await lost)).toBe('409 unknown stream');
    destination.release();
    hub = startReceiver(dataDir, destination.post);
    const tip = { dictionary: agent.part(2) };
    expect(await gistOf(agent.live(STREAM + 1n, 0, [[0, 10]], [1, 1], tip))).toMatch('accepted 1');
  });

  test('keeps its id, the dictionary, saved positions and the runs it has heard', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 2]));
    hub.receiver.save();
    const id = hub.store.hub;
    hub.kill();
    hub = startReceiver(dataDir, destination.post, {}, 'another seed');
    expect(hub.store.hub).toBe(id);
    expect(await gistOf(agent.live(STREAM, 1, [[0, 20]], [3, 3]))).toBe('409 unknown stream');
    const tip = { dictionary: agent.part(2) };
    expect(await gistOf(agent.live(78n, 0, [[1, 20]], [3, 3], tip))).toMatch('accepted 1');
    expect(await gistOf(agent.live(79n, 0, [[0, 10]], [1, 2], tip))).toMatch('redelivered 1');
    const other = new AgentDouble(2n);
    other.series('up');
    await send(other.heartbeat());
    hub.kill();
    hub = startReceiver(dataDir, destination.post);
    expect(await gistOf(agent.heartbeat())).toBe('409 duplicate agent');
  });

  test('forgets an epoch that no keyframe names any more, for good', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const before = agent.epoch;
    agent.epoch = 5n;
    const both = { ...agent.keyframe(), epochsInUse: [before, 5n] };
    await send(agent.live(78n, 0, [[0, 20]], [2, 2], { keyframe: both }));
    const epochs = async () =>
      decodeHubState((await hub.receiver.positions(AGENT)).body).epochs.map(({ epoch }) => epoch);
    expect(await epochs()).toEqual([before, 5n]);
    await send(agent.live(79n, 0, [[0, 30]], [3, 3]));
    expect(await epochs()).toEqual([5n]);
    hub.kill();
    hub = startReceiver(dataDir, destination.post);
    expect(await epochs()).toEqual([5n]);
  });
});

describe('a copy of a dictionary with a damaged entry', () => {
  test('is kept up to the damage, and the agent sends the rest again', async () => {
    const third = agent.series('third');
    await send(agent.live(STREAM, 0, [[third, 10]], [1, 1]));
    hub.kill();
    const db = new Database(join(dataDir, 'hub.db'));
    db.prepare("UPDATE entries SET entry = x'0900' WHERE id = 1").run();
    db.close();
    hub = startReceiver(dataDir, destination.post);
    const { epochs } = decodeHubState((await hub.receiver.positions(AGENT)).body);
    expect(epochs).toMatchObject([{ offset: 1, hash: agent.part(1).hash }]);
    expect(hub.store.state.damagedRows).toBeGreaterThan(0);
    const late = { dictionary: agent.part(2) };
    expect(await gistOf(agent.live(78n, 0, [[third, 20]], [2, 2], late))).toBe(
      '409 dictionary behind',
    );
    expect(await gistOf(agent.live(79n, 0, [[third, 20]], [2, 2]))).toMatch('accepted 1');
    hub.kill();
    hub = startReceiver(dataDir, destination.post);
    const later = decodeHubState((await hub.receiver.positions(AGENT)).body);
    expect(later.epochs).toMatchObject([{ offset: 3 }]);
  });
});

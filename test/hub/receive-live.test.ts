import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
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
const ACCEPTED = '200 accepted 1 redelivered 0';

let workspace: Workspace;
let dataDir: string;
let destination: RecordingDestination;
let hub: RunningReceiver;
let agent: AgentDouble;

beforeEach(() => {
  workspace = new Workspace('receive-live');
  dataDir = workspace.subfolder('hub');
  destination = new RecordingDestination();
  hub = startReceiver(dataDir, destination.post);
  agent = new AgentDouble(1n);
  agent.series('up');
});
afterEach(async () => {
  hub.kill();
  await workspace.close();
});

function restart(clock: Clock): void {
  hub.kill();
  hub = startReceiver(dataDir, destination.post, {}, 'hub', clock);
}

const send = (frame: Uint8Array) => hub.receiver.receive(AGENT, frame, '192.0.2.1:5');
const gistOf = async (frame: Uint8Array) => gist(await send(frame));

/** One sample at ten and the sequence, of the segment behind it. */
const next = (sequence: number) =>
  agent.live(STREAM, sequence, [[0, 10 + sequence]], [sequence + 1, sequence + 1]);

const timestamps = () => destination.stored.map((sample) => Number(sample.split('@')[1]));
const liveRow = async () =>
  decodeHubState((await hub.receiver.positions(AGENT)).body).tenants[0]?.live;

describe('a stream with several batches under way', () => {
  test('is taken in while batches before are being written, and each is answered', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    destination.hold();
    const replies = [1, 2, 3].map((sequence) => send(next(sequence)));
    await settle();
    expect((await liveRow())!.nextSequence).toBe(4);
    destination.release();
    expect((await Promise.all(replies)).map(gist)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(timestamps()).toEqual([10, 11, 12, 13]);
    expect((await liveRow())!.answers.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3]);
  });

  test('is written in the order of its sequence, whatever comes first', async () => {
    restart(systemClock);
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    // Each is coded behind the one before.
    const [one, two, three] = [1, 2, 3].map(next) as [Uint8Array, Uint8Array, Uint8Array];
    const replies = [three, one, two].map(send);
    expect((await Promise.all(replies)).map(gist)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(timestamps()).toEqual([10, 11, 12, 13]);
  });

  test('goes on with 503 when a batch that was sent before does not come', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const [one, two] = [next(1), next(2)];
    const reply = await send(two);
    expect(reply.status).toBe(503);
    expect(reply.retryAfterSeconds).toBeGreaterThan(0);
    expect(timestamps()).toEqual([10]);
    expect(await gistOf(one)).toBe(ACCEPTED);
    expect(await gistOf(two)).toBe(ACCEPTED);
  });

  test('that ends tells those that wait for their turn, and a hub that stops does', async () => {
    restart(systemClock);
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const behind = send(next(2));
    await settle();
    await send(agent.live(STREAM + 1n, 0, [[0, 20]], [2, 2]));
    expect(gist(await behind)).toBe('409 unknown stream');
    const waiting = send(agent.live(STREAM + 1n, 2, [[0, 40]], [4, 4]));
    await settle();
    hub.receiver.close();
    expect(gist(await waiting)).toBe('409 unknown stream');
    expect(hub.receiver.heldBytes).toBe(0);
  });

  test('gives way to a new one: what is queued of it is not written', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    destination.hold();
    const old = [1, 2].map((sequence) => send(next(sequence)));
    await settle();
    const young = send(agent.live(STREAM + 1n, 0, [[0, 50]], [50, 50]));
    await settle();
    destination.release();
    expect((await Promise.all(old)).map(gist)).toEqual([ACCEPTED, '409 unknown stream']);
    expect(gist(await young)).toBe(ACCEPTED);
    expect(timestamps()).toEqual([10, 11, 50]);
    expect(hub.receiver.heldBytes).toBe(0);
  });

  test('keeps 8 answers; what was taken in before is a gap, and not written again', async () => {
    const batches = Array.from({ length: 9 }, (_, sequence) => next(sequence));
    for (const batch of batches) await send(batch);
    expect((await liveRow())!.answers.map(({ sequence }) => sequence).at(0)).toBe(1);
    expect(await gistOf(batches[1]!)).toBe(ACCEPTED);
    expect(await gistOf(batches[0]!)).toBe('409 gap');
    expect(destination.requests).toBe(9);
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeHubState } from '../../proto/answer.ts';
import { compressFrame } from '../../proto/zstd.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  AGENT,
  AgentDouble,
  gist,
  RecordingDestination,
  type RunningReceiver,
  seen,
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

async function stateOf(frame: Uint8Array) {
  const opened = seen(await send(frame));
  if (!('state' in opened)) throw new Error(`answered ${opened.status}`);
  return opened.state;
}

describe('a stream', () => {
  test('is opened by its keyframe and goes on in sequence, under the labels of the ids', async () => {
    expect(await gistOf(agent.live(STREAM, 0, [[0, 10]], [1, 1]))).toBe(
      '200 accepted 1 redelivered 0',
    );
    const added = agent.series('new');
    const rows = [
      [added, 20],
      [1, 20],
    ] as const;
    const next = agent.live(STREAM, 1, rows, [2, 3], { dictionary: agent.part(2) });
    const opened = seen(await send(next));
    expect(opened).toMatchObject({ answer: { dictionaryOffset: 3, settlement: { accepted: 2 } } });
    expect(destination.stored.toSorted()).toEqual([
      'overseas {__name__="down"}@20',
      'overseas {__name__="new"}@20',
      'overseas {__name__="up"}@10',
    ]);
  });

  test('answers a resend of its last batch as it answered the batch', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const batch = agent.live(STREAM, 1, [[0, 20]], [2, 2]);
    expect(await gistOf(batch)).toBe('200 accepted 1 redelivered 0');
    expect(await gistOf(batch)).toBe('200 accepted 1 redelivered 0');
    expect(destination.stored).toHaveLength(2);
  });

  test('lets a resend join the batch that is being written', async () => {
    destination.hold();
    const batch = agent.live(STREAM, 0, [[0, 10]], [1, 1]);
    const replies = Promise.all([send(batch), send(batch), send(batch)]);
    await settle();
    destination.release();
    expect((await replies).map(gist)).toEqual(Array(3).fill('200 accepted 1 redelivered 0'));
    expect(destination.requests).toBe(1);
  });

  test('of a tenant shares the dictionary with those of the others', async () => {
    const second = agent.series('theirs', 'second');
    const opened = await Promise.all([
      gistOf(agent.live(STREAM, 0, [[0, 10]], [1, 1])),
      gistOf(
        agent.live(STREAM + 1n, 0, [[second, 10]], [1, 1], { keyframe: agent.keyframe('second') }),
      ),
    ]);
    expect(opened).toEqual(['200 accepted 1 redelivered 0', '200 accepted 1 redelivered 0']);
    expect(destination.stored.toSorted()).toEqual([
      'overseas {__name__="up"}@10',
      'second {__name__="theirs"}@10',
    ]);
  });

  test('cannot name a series of another tenant', async () => {
    const theirs = agent.series('theirs', 'second');
    expect(await gistOf(agent.live(STREAM, 0, [[theirs, 10]], [1, 1]))).toBe('400');
    expect(await gistOf(agent.live(STREAM, 0, [[99, 10]], [1, 1]))).toBe('400');
    expect(destination.stored).toEqual([]);
  });

  test('into a tenant that is not the agent’s is answered 403', async () => {
    const keyframe = agent.keyframe('third');
    expect(await gistOf(agent.live(STREAM, 0, [[0, 10]], [1, 1], { keyframe }))).toBe('403');
    expect(destination.requests).toBe(0);
  });

  test('in a format that this hub cannot read is answered 415 with those it can', async () => {
    const keyframe = { ...agent.keyframe(), samplesFormat: 4711 };
    const opened = seen(await send(agent.live(STREAM, 0, [[0, 10]], [1, 1], { keyframe })));
    expect(opened.status).toBe(415);
    expect('state' in opened && opened.state.formats).toContain(3);
  });
});

describe('409', () => {
  test('unknown stream: with everything the hub holds', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 3]));
    const state = await stateOf(agent.live(STREAM + 1n, 5, [[0, 20]], [4, 4]));
    expect(state).toMatchObject({
      reason: 'unknown stream',
      hub: hub.store.hub,
      epochs: [{ epoch: agent.epoch, offset: 2, hash: agent.part(2).hash }],
      tenants: [
        {
          tenant: '',
          live: {
            stream: STREAM,
            nextSequence: 1,
            answers: [{ sequence: 0, answer: { settlement: { accepted: 1 } } }],
          },
          answered: [{ run: 1n, first: 1, last: 3 }],
        },
      ],
    });
  });

  test('dictionary behind: when the part starts beyond what the hub has', async () => {
    const dictionary = agent.part(1);
    const batch = agent.live(STREAM, 0, [[0, 10]], [1, 1], { dictionary });
    expect(await gistOf(batch)).toBe('409 dictionary behind');
  });

  test('diverged: when entries under the same ids differ, and nothing is written', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const restored = new AgentDouble(2n, agent.epoch);
    restored.series('up');
    restored.series('other');
    const whole = restored.live(STREAM + 1n, 0, [[1, 20]], [1, 1]);
    expect(await gistOf(whole)).toBe('409 diverged');
    const end = { dictionary: restored.part(2) };
    const tip = restored.live(STREAM + 1n, 0, [[1, 20]], [1, 1], end);
    expect(await gistOf(tip)).toBe('409 diverged');
    expect(destination.stored).toHaveLength(1);
  });

  test('partly answered: an agent that gathered more since it was answered', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 2]));
    const more = agent.live(STREAM + 1n, 0, [[0, 10]], [2, 3]);
    expect(await gistOf(more)).toBe('409 partly answered');
    expect(destination.stored).toHaveLength(1);
    const rest = agent.live(STREAM + 1n, 0, [[0, 20]], [3, 3]);
    expect(await gistOf(rest)).toBe('200 accepted 1 redelivered 0');
  });

  test('duplicate agent: a run that was replaced speaks again; counted once', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const other = new AgentDouble(2n);
    other.series('up');
    expect(await gistOf(other.live(STREAM + 1n, 0, [[0, 20]], [1, 1]))).toMatch(/^200/);
    const state = await stateOf(agent.heartbeat());
    expect(state).toMatchObject({ reason: 'duplicate agent', currentRun: 2n });
    expect(state.currentAddress).toBe('192.0.2.1:5');
    expect(await gistOf(agent.live(STREAM + 2n, 0, [[0, 30]], [2, 2]))).toBe('409 duplicate agent');
    expect(await gistOf(other.live(STREAM + 1n, 1, [[0, 30]], [2, 2]))).toMatch(/^200/);
    expect(hub.events).toEqual(['sg duplicate agent', 'sg duplicate agent']);
  });

  test('dictionary full: when an agent has more series than it may have', async () => {
    hub.kill();
    hub = startReceiver(dataDir, destination.post, { seriesPerAgentMax: 1 });
    expect(await gistOf(agent.dictionary())).toBe('409 dictionary full');
  });

  test('dictionary full: not because of an epoch that the agent has left behind', async () => {
    hub.kill();
    hub = startReceiver(dataDir, destination.post, { seriesPerAgentMax: 3 });
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    agent.epoch = 5n;
    expect(await gistOf(agent.dictionary())).toMatch(/^200/);
    expect(await gistOf(agent.live(78n, 0, [[1, 20]], [2, 2]))).toMatch('accepted 1');
  });
});

describe('positions', () => {
  test('that were answered for are not written again, and counted as redelivered', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 2]));
    const again = agent.live(STREAM + 1n, 0, [[0, 10]], [1, 2]);
    expect(await gistOf(again)).toBe('200 accepted 0 redelivered 1');
    expect(destination.stored).toHaveLength(1);
  });

  test('of another run or tenant are others', async () => {
    const theirs = agent.series('theirs', 'second');
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const keyframe = agent.keyframe('second');
    expect(await gistOf(agent.live(78n, 0, [[theirs, 10]], [1, 1], { keyframe }))).toMatch(
      'accepted 1',
    );
    agent.run = 2n;
    expect(await gistOf(agent.live(79n, 0, [[0, 20]], [1, 1]))).toMatch('accepted 1');
    expect(destination.stored).toHaveLength(3);
  });

  test('are asked for without sending anything', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 2]));
    const { status, body } = await hub.receiver.positions(AGENT);
    expect(status).toBe(200);
    expect(decodeHubState(body)).toMatchObject({
      reason: 'positions',
      tenants: [
        {
          live: { stream: STREAM, nextSequence: 1 },
          answered: [{ run: 1n, first: 1, last: 2 }],
        },
      ],
    });
  });
});

describe('limits', () => {
  test('503 comes before decoding: the same bytes fit once there is room', async () => {
    hub.kill();
    hub = startReceiver(dataDir, destination.post, { heldBytesMax: 100 });
    destination.hold();
    const theirs = agent.series('theirs', 'second');
    const first = send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    await settle();
    const rows = Array.from({ length: 10 }, (_, at) => [theirs, at] as const);
    const keyframe = agent.keyframe('second');
    const second = agent.live(78n, 0, rows, [1, 1], { keyframe });
    expect(await gistOf(second)).toBe('503');
    destination.release();
    await first;
    expect(await gistOf(second)).toBe('200 accepted 10 redelivered 0');
    expect(hub.receiver.heldBytes).toBe(0);
  });

  test('a batch that declares more samples than a batch may hold is answered 413', async () => {
    const samplesCount = 2 ** 24;
    expect(await gistOf(agent.live(STREAM, 0, [[0, 1]], [1, 1], { samplesCount }))).toBe('413');
  });

  test('a frame whose content is over the limit is answered 413 and not opened', async () => {
    expect(await gistOf(compressFrame(new Uint8Array(9 * 2 ** 20), 3))).toBe('413');
  });

  test('what is not one batch in one frame is answered 400 and changes nothing', async () => {
    const batch = agent.live(STREAM, 0, [[0, 10]], [1, 1]);
    const frames = [
      new Uint8Array(0),
      batch.subarray(0, -1),
      Buffer.concat([batch, batch]),
      compressFrame(Buffer.from('no batch'), 3),
      agent.live(STREAM, 0, [[0, 10]], [1, 1], { samplesCount: 2 }),
      agent.live(STREAM, 0, [[0, 10]], [1, 1], { positions: [] }),
      agent.live(0n, 0, [[0, 10]], [1, 1]),
    ];
    for (const frame of frames) expect(await gistOf(frame)).toBe('400');
    expect(destination.requests).toBe(0);
    expect(await gistOf(batch)).toBe('200 accepted 1 redelivered 0');
  });
});

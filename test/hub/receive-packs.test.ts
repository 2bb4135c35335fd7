import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { ReceiveLimits } from '../../hub/receive/contracts.ts';
import { decodeHubState } from '../../proto/answer.ts';
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

const ROW = 99n;
const NEXT_ROW = 100n;
const STREAM = 77n;

let workspace: Workspace;
let dataDir: string;
let destination: RecordingDestination;
let hub: RunningReceiver;
let agent: AgentDouble;

beforeEach(() => {
  workspace = new Workspace('receive-packs');
  dataDir = workspace.subfolder('hub');
  destination = new RecordingDestination();
  hub = startReceiver(dataDir, destination.post);
  agent = new AgentDouble(1n);
  agent.series('up');
  agent.series('down');
});
afterEach(async () => {
  destination.release();
  hub.kill();
  await workspace.close();
});

const send = (frame: Uint8Array) => hub.receiver.receive(AGENT, frame, '192.0.2.1:5');
const gistOf = async (frame: Uint8Array) => gist(await send(frame));

function restart(limits: Partial<ReceiveLimits> = {}, clock?: Clock): void {
  hub.kill();
  hub = startReceiver(dataDir, destination.post, limits, 'hub', clock);
}

/** The pack `sequence` of a row: one sample at `sequence`, of the segment behind it. */
const pack = (sequence: number, over: Parameters<AgentDouble['pack']>[4] = {}) =>
  agent.pack(ROW, sequence, [[0, sequence]], [sequence + 1, sequence + 1], over);

const timestamps = () => destination.stored.map((sample) => Number(sample.split('@')[1]));
const rowState = async () =>
  decodeHubState((await hub.receiver.positions(AGENT)).body).tenants[0]?.packs;

const ACCEPTED = '200 accepted 1 redelivered 0';

describe('a row of packs', () => {
  test('is taken in while those before are being written, and each is answered', async () => {
    expect(await gistOf(pack(0))).toBe(ACCEPTED);
    destination.hold();
    const replies = [1, 2, 3].map((sequence) => send(pack(sequence)));
    await settle();
    expect(await rowState()).toMatchObject({ stream: ROW, nextSequence: 4 });
    destination.release();
    expect((await Promise.all(replies)).map(gist)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(timestamps()).toEqual([0, 1, 2, 3]);
    expect((await rowState())!.answers.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3]);
  });

  test('is written in the order of its sequence, whatever comes first', async () => {
    restart({}, systemClock);
    await send(pack(0));
    const replies = [3, 1, 2].map((sequence) => send(pack(sequence)));
    expect((await Promise.all(replies)).map(gist)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(timestamps()).toEqual([0, 1, 2, 3]);
  });

  test('goes on with 503 when one that was sent before does not come', async () => {
    await send(pack(0));
    const reply = await send(pack(2));
    expect(reply.status).toBe(503);
    expect(reply.retryAfterSeconds).toBeGreaterThan(0);
    expect(timestamps()).toEqual([0]);
    expect(await gistOf(pack(1))).toBe(ACCEPTED);
    expect(await gistOf(pack(2))).toBe(ACCEPTED);
  });

  test('does not keep a hub from stopping', async () => {
    restart({}, systemClock);
    await send(pack(0));
    const waiting = send(pack(2));
    await settle();
    hub.receiver.close();
    expect(gist(await waiting)).toBe('409 unknown stream');
  });

  test('that is not known takes only its first: 409 unknown stream', async () => {
    expect(await gistOf(pack(1))).toBe('409 unknown stream');
    await send(pack(0));
    expect(await gistOf(agent.pack(NEXT_ROW, 1, [[0, 9]], [9, 9]))).toBe('409 unknown stream');
    expect(timestamps()).toEqual([0]);
  });

  test('lets a resend join the pack that is being written, and answers it again later', async () => {
    destination.hold();
    const first = pack(0);
    const replies = Promise.all([send(first), send(first), send(first)]);
    await settle();
    destination.release();
    expect((await replies).map(gist)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(await gistOf(first)).toBe(ACCEPTED);
    expect(destination.requests).toBe(1);
  });

  test('keeps 32 answers; what was taken in before is a gap, and not written again', async () => {
    for (let sequence = 0; sequence < 33; sequence++) await send(pack(sequence));
    expect((await rowState())!.answers.map(({ sequence }) => sequence).at(0)).toBe(1);
    expect(await gistOf(pack(1))).toBe(ACCEPTED);
    expect(await gistOf(pack(0))).toBe('409 gap');
    expect(destination.requests).toBe(33);
  });

  test('gives way to a new one, which writes when nothing of the old one is in flight', async () => {
    await send(pack(0));
    destination.hold();
    const old = [1, 2].map((sequence) => send(pack(sequence)));
    await settle();
    const waiting = send(pack(4));
    const young = send(agent.pack(NEXT_ROW, 0, [[1, 50]], [50, 50]));
    await settle();
    expect(destination.requests).toBe(2);
    destination.release();
    expect((await Promise.all(old)).map(gist)).toEqual([ACCEPTED, '409 unknown stream']);
    expect(gist(await waiting)).toBe('409 unknown stream');
    expect(gist(await young)).toBe(ACCEPTED);
    expect(timestamps()).toEqual([0, 1, 50]);
    expect(await rowState()).toMatchObject({ stream: NEXT_ROW, nextSequence: 1 });
    expect(hub.receiver.heldBytes).toBe(0);
  });

  test('does not give way to the late first pack of an older one, nor is it opened twice', async () => {
    await send(pack(0));
    const young = (sequence: number) =>
      agent.pack(NEXT_ROW, sequence, [[1, 50 + sequence]], [50 + sequence, 50 + sequence]);
    expect(await gistOf(young(0))).toBe(ACCEPTED);
    for (const late of [pack(0), agent.pack(ROW - 1n, 0, [[0, 9]], [9, 9])]) {
      expect(await gistOf(late)).toBe('409 unknown stream');
    }
    expect(await gistOf(young(1))).toBe(ACCEPTED);
    expect(timestamps()).toEqual([0, 50, 51]);
    // Another run has numbers of its own.
    agent.run = 2n;
    expect(await gistOf(agent.pack(7n, 0, [[0, 60]], [1, 1]))).toBe(ACCEPTED);
  });

  test('gives way to a new live stream: what is queued of it is sent again', async () => {
    await send(pack(0));
    destination.hold();
    const packs = [1, 2].map((sequence) => send(pack(sequence)));
    await settle();
    const live = send(agent.live(STREAM, 0, [[1, 50]], [50, 50]));
    await settle();
    expect(destination.requests).toBe(2);
    destination.release();
    expect((await Promise.all(packs)).map(gist)).toEqual([ACCEPTED, '409 unknown stream']);
    expect(gist(await live)).toBe(ACCEPTED);
    expect(await gistOf(pack(2))).toBe('409 unknown stream');
    expect(timestamps()).toEqual([0, 1, 50]);
  });

  test('is gone with the hub’s memory; what it was answered for is not', async () => {
    await send(pack(0));
    await send(pack(1));
    hub.receiver.save();
    restart();
    expect(await gistOf(pack(2))).toBe('409 unknown stream');
    expect(await gistOf(agent.pack(NEXT_ROW, 0, [[0, 1]], [2, 2]))).toBe(
      '200 accepted 0 redelivered 1',
    );
    expect(timestamps()).toEqual([0, 1]);
  });
});

describe('positions of a pack', () => {
  test('that were all answered for are not written again', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 4]));
    const known = agent.pack(ROW, 0, [[0, 10]], [2, 3]);
    expect(await gistOf(known)).toBe('200 accepted 0 redelivered 1');
    expect(destination.stored).toHaveLength(1);
  });

  test('that were answered for in part: it is written whole', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    const rows = [
      [0, 10],
      [0, 20],
    ] as const;
    expect(await gistOf(agent.pack(ROW, 0, rows, [1, 2]))).toBe('200 accepted 2 redelivered 0');
    expect(timestamps()).toEqual([10, 10, 20]);
    expect(await gistOf(agent.pack(ROW, 1, rows, [1, 2]))).toBe('200 accepted 0 redelivered 2');
  });

  test('that were answered for in part: what is refused as out of order is no loss', async () => {
    await send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    hub.receiver.save();
    hub.kill();
    const refusal = 'out of order sample. timestamp=10';
    hub = startReceiver(dataDir, async () => ({
      kind: 'answer',
      status: 400,
      headers: {},
      body: refusal,
    }));
    const opened = seen(await send(agent.pack(ROW, 0, [[0, 10]], [1, 2])));
    expect(opened).toMatchObject({
      answer: { settlement: { redelivered: 1, refused: new Map() } },
    });
    const fresh = seen(await send(agent.pack(ROW, 1, [[0, 10]], [3, 3])));
    expect(fresh).toMatchObject({
      answer: { settlement: { redelivered: 0, refused: new Map([['out_of_order', 1]]) } },
    });
  });

  test('answered for while it waits for what is in flight are not written again', async () => {
    destination.hold();
    const live = send(agent.live(STREAM, 0, [[0, 10]], [1, 1]));
    await settle();
    const waiting = send(agent.pack(ROW, 0, [[0, 10]], [1, 1], { mayBeRedelivered: true }));
    await settle();
    destination.release();
    await live;
    expect(gist(await waiting)).toBe('200 accepted 0 redelivered 1');
    expect(destination.stored).toHaveLength(1);
  });
});

describe('a pack beside the live stream', () => {
  test('waits for it, where order is kept', async () => {
    destination.hold();
    void send(agent.live(STREAM, 0, [[0, 10]], [10, 10]));
    await settle();
    void send(agent.pack(ROW, 0, [[0, 1]], [1, 1]));
    await settle();
    expect(destination.requests).toBe(1);
  });

  test('does not, and is not cancelled by it, where live samples go first', async () => {
    destination.hold();
    const live = send(agent.live(STREAM, 0, [[0, 10]], [10, 10]));
    await settle();
    const beside = send(pack(0, { unordered: true }));
    await settle();
    expect(destination.requests).toBe(2);
    const second = send(pack(1, { unordered: true }));
    const reopened = send(agent.live(STREAM + 1n, 0, [[1, 20]], [11, 11]));
    await settle();
    destination.release();
    const replies = await Promise.all([live, beside, second, reopened]);
    expect(replies.map(gist)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED]);
  });
});

describe('a pack that is refused', () => {
  test('because it is for a tenant that is not the agent’s: 403', async () => {
    const keyframe = agent.keyframe('third');
    expect(await gistOf(pack(0, { keyframe }))).toBe('403');
  });

  test('because of its format: 415 with those that this hub reads', async () => {
    const keyframe = { ...agent.keyframe(), samplesFormat: 4711 };
    const opened = seen(await send(pack(0, { keyframe })));
    expect(opened.status).toBe(415);
    expect('state' in opened && opened.state.formats).toContain(3);
  });

  test('because it declares more samples than a batch may hold: 413', async () => {
    expect(await gistOf(pack(0, { samplesCount: 2 ** 24 }))).toBe('413');
  });

  test('because it cannot be read: 400, and the same pack is taken when it can', async () => {
    await send(pack(0));
    const theirs = agent.series('theirs', 'second');
    const unreadable = [
      pack(1, { samples: new Uint8Array(0) }),
      pack(1, { samplesCount: 2 }),
      agent.pack(ROW, 1, [[theirs, 1]], [2, 2]),
      agent.pack(ROW, 1, [[77, 1]], [2, 2]),
    ];
    for (const frame of unreadable) expect(await gistOf(frame)).toBe('400');
    expect(await gistOf(pack(1))).toBe(ACCEPTED);
    expect(timestamps()).toEqual([0, 1]);
    expect(hub.receiver.heldBytes).toBe(0);
  });

  test('because its dictionary does not fit: 409, and the row goes on when it does', async () => {
    await send(pack(0));
    const dictionary = { ...agent.part(), offset: 7 };
    expect(await gistOf(pack(1, { dictionary }))).toBe('409 dictionary behind');
    const other = new AgentDouble(1n, agent.epoch);
    other.series('something else');
    expect(await gistOf(other.pack(ROW, 1, [[0, 1]], [2, 2]))).toBe('409 diverged');
    expect(await gistOf(pack(1))).toBe(ACCEPTED);
  });

  test('because packs hold half of what may be held: 503, while live batches get in', async () => {
    restart({ heldBytesMax: 1000 });
    const theirs = agent.series('theirs', 'second');
    destination.hold();
    const rows = Array.from({ length: 20 }, (_, at) => [0, at] as const);
    const first = send(agent.pack(ROW, 0, rows, [1, 1]));
    await settle();
    expect(hub.receiver.heldBytes).toBeGreaterThan(400);
    const second = agent.pack(ROW, 1, rows, [2, 2]);
    expect(await gistOf(second)).toBe('503');
    const keyframe = agent.keyframe('second');
    const live = send(agent.live(STREAM, 0, [[theirs, 1]], [1, 1], { keyframe }));
    await settle();
    expect(destination.requests).toBeGreaterThan(1);
    destination.release();
    expect(gist(await live)).toBe(ACCEPTED);
    expect(gist(await first)).toMatch(/^200 accepted 20/);
    expect(await gistOf(second)).toMatch(/^200 accepted 20/);
  });

  test('because one tenant holds three quarters of that: 503, while packs of others get in', async () => {
    restart({ heldBytesMax: 1000 });
    const theirs = agent.series('theirs', 'second');
    destination.hold();
    const rows = (id: number) => Array.from({ length: 10 }, (_, at) => [id, at] as const);
    const first = send(agent.pack(ROW, 0, rows(0), [1, 1]));
    await settle();
    const second = agent.pack(ROW, 1, rows(0), [2, 2]);
    expect(await gistOf(second)).toBe('503');
    const keyframe = agent.keyframe('second');
    const other = send(agent.pack(NEXT_ROW, 0, rows(theirs), [1, 1], { keyframe }));
    await settle();
    expect(destination.requests).toBe(2);
    destination.release();
    expect(gist(await other)).toMatch(/^200 accepted 10/);
    expect(gist(await first)).toMatch(/^200 accepted 10/);
    expect(await gistOf(second)).toMatch(/^200 accepted 10/);
    expect(hub.receiver.heldBytes).toBe(0);
  });
});

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Kind } from '../../agent/ship/exchange.ts';
import type { HubClient, HubReply } from '../../agent/ship/hub-client.ts';
import type { Traffic } from '../../agent/ship/link-turns.ts';
import { type Batch, decodeBatch } from '../../proto/batch.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  HastyClock,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  unlimitedClient,
  waiting,
} from './ship-fixture.ts';

const PATIENCE_MS = 5000;

/** Passes everything on, and keeps what was sent and what came back. */
class WatchedLink extends UnmeasuredLink {
  readonly batches: Batch[] = [];
  /** Of batches of samples. */
  readonly frames: Uint8Array[] = [];
  questions = 0;
  /** Instead of the hub's reply to the next batches of samples. */
  readonly scripted: (HubReply | 'answer lost')[] = [];
  client: HubClient;

  constructor(client: HubClient) {
    super();
    this.client = client;
  }

  get live() {
    return this.batches.filter((batch) => batch.lane === 'live');
  }

  async postBatch(frame: Uint8Array, signal: AbortSignal, kind: Kind): Promise<HubReply> {
    const batch = decodeBatch(decompressFrame(frame, 2 ** 26));
    this.batches.push(batch);
    if (batch.lane === 'live') this.frames.push(frame);
    const reply = batch.lane === 'live' ? this.scripted.shift() : undefined;
    if (reply !== undefined && reply !== 'answer lost') return reply;
    const answer = await this.client.postBatch(frame, signal, kind);
    return reply === undefined ? answer : { kind: 'unreachable', message: reply };
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    this.questions++;
    return await this.client.askPositions(signal);
  }
}

let workspace: Workspace;
let clock: HastyClock;
let destination: RecordingDestination;
let hub: RunningHub;
let link: WatchedLink;
let agent: RunningAgent;

beforeEach(async () => {
  workspace = new Workspace('ship');
  clock = new HastyClock();
  destination = new RecordingDestination();
  hub = await startHub(workspace.subfolder('hub'), destination.post);
  link = new WatchedLink(connect(hub.url, clock));
  agent = startAgent(workspace.subfolder('agent'), link, clock, 'agent', { samplesMax: 5000 });
});
afterEach(async () => {
  destination.release();
  await agent.end();
  await link.client.close();
  await hub.end();
  await workspace.close();
});

const delivered = () =>
  until('the backlog to be answered for', PATIENCE_MS, () => waiting(agent) === 0);

async function restartHub(options: Parameters<typeof startHub>[2] = {}): Promise<void> {
  await hub.end();
  await link.client.close();
  hub = await startHub(workspace.subfolder('hub'), destination.post, options);
  link.client = connect(hub.url, clock);
}

/** Samples of `series` names with values that do not compress. */
function noise(series: number, samples: number, from = 0): [string, number, number][] {
  return Array.from({ length: samples }, (_, index) => {
    const at = from + index;
    return [`series_${at % series}`, at, Math.imul(at + 1, 0x9e3779b1) >>> 0];
  });
}

describe('a batch', () => {
  test('that is answered 503 waits as long as told and goes out again byte for byte', async () => {
    link.scripted.push({ kind: 'busy', retryAfterMs: 60_000, message: '503' });
    agent.append('', [['up', 1, 1]]);
    await delivered();
    expect(link.frames).toHaveLength(2);
    expect(link.frames[1]).toEqual(link.frames[0]);
    expect(clock.ms).toBeGreaterThanOrEqual(1_800_000_000_000 + 60_000);
    expect(destination.stored).toHaveLength(1);
  });

  test('that is large is asked for after a lost answer, and not sent again', async () => {
    agent.append('', [['up', 1, 1]]);
    await delivered();
    const questions = link.questions;
    link.scripted.push('answer lost');
    agent.append('', noise(1, 3000));
    await delivered();
    expect(link.frames.at(-1)!.length).toBeGreaterThan(4096);
    expect(link.live).toHaveLength(2);
    expect(link.questions).toBeGreaterThan(questions);
    expect(agent.shipper.stats.settled.accepted).toBe(3001);
    expect(destination.stored).toHaveLength(3001);
  });

  test('that is refused as too large is cut, until it passes', async () => {
    await restartHub({ batchBytesMax: 6000 });
    for (let at = 0; at < 10; at++) agent.append('', noise(1, 500, at * 500));
    await delivered();
    expect(agent.shipper.stats.replies.get('too_large')).toBeGreaterThan(0);
    expect(destination.stored).toHaveLength(5000);
  });

  test('is cut by its dictionary as well', async () => {
    await restartHub({ decodedBytesMax: 20_000 });
    for (let at = 0; at < 10; at++) {
      agent.append(
        '',
        Array.from({ length: 200 }, (_, n) => [`series_of_a_long_name_${at}_${n}`, at, n]),
      );
    }
    await delivered();
    expect(agent.shipper.stats.replies.get('too_large')).toBeGreaterThan(0);
    expect(destination.stored).toHaveLength(2000);
  });

  test('is not taken for answered by an answer that accounts for none of its samples', async () => {
    const zeros: HubReply = {
      kind: 'answer',
      answer: {
        settlement: {
          accepted: 0,
          deduplicated: 0,
          redelivered: 0,
          unknown: 0,
          refused: new Map(),
        },
        dictionaryOffset: 0,
        hubClockMs: 0,
      },
    };
    link.scripted.push(zeros);
    agent.append('', [['up', 1, 1]]);
    await delivered();
    expect(destination.stored).toEqual(['overseas {__name__="up"}@1']);
    expect(agent.shipper.stats.replies.get('misconfigured')).toBeGreaterThan(0);
  });

  test('says when its samples may have been written before', async () => {
    destination.hold();
    agent.append('', [['up', 1, 1]]);
    await until('the destination to be asked', PATIENCE_MS, () => destination.requests === 1);
    await restartHub();
    destination.release();
    await delivered();
    expect(link.live.map(({ mayBeRedelivered }) => mayBeRedelivered)).toEqual([false, true]);
  });
});

describe('the dictionary', () => {
  test('crosses once; a restarted hub goes on without it', async () => {
    agent.append('', noise(50, 50));
    await delivered();
    await restartHub();
    agent.append('', [['series_1', 100, 1]]);
    await delivered();
    const keyframe = link.live.at(-1)!;
    expect(keyframe.sequence).toBe(0);
    expect(keyframe.dictionary?.offset).toBe(50);
    expect(agent.shipper.stats.events).toEqual(new Map([['unknown stream', 1]]));
    expect(destination.stored).toHaveLength(51);
  });

  test('goes ahead in batches of its own when much is missing', async () => {
    const rows = Array.from(
      { length: 9000 },
      (_, n) => [`${'long'.repeat(60)}_${n}`, 1, n] as const,
    );
    agent.append('', rows);
    await delivered();
    expect(link.batches.filter(({ lane }) => lane === 'dictionary').length).toBeGreaterThan(1);
    expect(destination.stored).toHaveLength(9000);
  });

  test('is sent again under another name when the hub holds a different one', async () => {
    agent.append('', [['early', 1, 1]]);
    await delivered();
    const copy = workspace.subfolder('copy');
    await agent.end();
    const { cpSync } = await import('node:fs');
    cpSync(workspace.subfolder('agent'), copy, { recursive: true });
    agent = startAgent(workspace.subfolder('agent'), link, clock, 'later');
    agent.append('', [['late', 2, 2]]);
    await delivered();
    await agent.end();

    agent = startAgent(copy, link, clock, 'restored');
    const epoch = agent.buffer.dictionary.epoch;
    agent.append('', [
      ['restored', 3, 3],
      ['early', 3, 3],
    ]);
    await delivered();
    expect(agent.shipper.stats.events.get('diverged')).toBe(1);
    expect(agent.buffer.dictionary.epoch).not.toBe(epoch);
    expect(destination.stored.toSorted()).toEqual([
      'overseas {__name__="early"}@1',
      'overseas {__name__="early"}@3',
      'overseas {__name__="late"}@2',
      'overseas {__name__="restored"}@3',
    ]);
  });
});

test('of two agents under one id the older one keeps its samples and says so', async () => {
  agent.append('', [['first', 1, 1]]);
  await delivered();
  const twin = startAgent(workspace.subfolder('twin'), link, clock, 'twin');
  twin.append('', [['second', 1, 1]]);
  await until('the twin to deliver', PATIENCE_MS, () => waiting(twin) === 0);
  agent.append('', [['first', 2, 2]]);
  await until('the conflict to be noticed', PATIENCE_MS, () =>
    agent.shipper.stats.events.has('duplicate agent'),
  );
  expect(waiting(agent)).toBe(1);
  expect(agent.lines.map(({ msg }) => msg)).toContainEqual(
    expect.stringContaining('another agent has taken over this agent_id'),
  );
  expect(destination.stored).toHaveLength(2);
  await twin.end();
});

test('a wrong token is said loudly and nothing is lost', async () => {
  await link.client.close();
  link.client = connect(hub.url, clock, 'wrong');
  agent.append('', [['up', 1, 1]]);
  await until('the refusal', PATIENCE_MS, () => agent.shipper.stats.replies.has('misconfigured'));
  expect(waiting(agent)).toBe(1);
  expect(destination.requests).toBe(0);
});

describe('the hub’s client', () => {
  test.each([
    [200, 'misconfigured'],
    [302, 'misconfigured'],
    [400, 'unreadable'],
    [401, 'misconfigured'],
    [403, 'forbidden'],
    [404, 'misconfigured'],
    [408, 'busy'],
    [409, 'misconfigured'],
    [413, 'too_large'],
    [429, 'busy'],
    [500, 'busy'],
    [503, 'busy'],
  ])('takes a status %i with a page that no hub wrote for "%s"', async (status, kind) => {
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(status, { 'Retry-After': '7' }).end('<html>nginx</html>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, clock);
    const reply = await client.postBatch(Buffer.from('x'), new AbortController().signal, 'live');
    expect(reply.kind).toBe(kind);
    if (reply.kind === 'busy') expect(reply.retryAfterMs).toBe(7000);
    await client.close();
    server.close();
  });

  test('goes on to the next hub once, however many requests fail together', async () => {
    const urls = ['http://127.0.0.1:9', hub.url];
    const client = unlimitedClient({ urls }, clock);
    const { signal } = new AbortController();
    const ask = () => client.askPositions(signal);
    const failed = await Promise.all([ask(), ask()]);
    expect(failed.map(({ kind }) => kind)).toEqual(['unreachable', 'unreachable']);
    expect((await ask()).kind).toBe('state');
    await client.close();
  });

  test('stays with the hub when it is the agent that has given a request up', async () => {
    const urls = [hub.url, 'http://127.0.0.1:9'];
    const client = unlimitedClient({ urls }, clock);
    const givingUp = new AbortController();
    const asked = client.askPositions(givingUp.signal);
    givingUp.abort();
    expect((await asked).kind).toBe('unreachable');
    expect(client.url).toBe(hub.url);
    await client.close();
  });

  test('keeps connections for live batches, however many packs wait for the destination', async () => {
    const open: ServerResponse[] = [];
    const server = createServer((request, response) => {
      request.resume();
      open.push(response);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, clock);
    const { signal } = new AbortController();
    const post = (traffic: Traffic) => client.postBatch(Buffer.from('x'), signal, traffic);
    const packs = Array.from({ length: 12 }, () => post('backlog'));
    await until('the connections for packs to be taken', PATIENCE_MS, () => open.length === 4);
    const live = post('live');
    await until('the live batch', PATIENCE_MS / 2, () => open.length === 5);
    server.closeAllConnections();
    await client.close();
    await Promise.all([...packs, live]);
    server.close();
  });
});

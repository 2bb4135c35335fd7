import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import { momentOf } from '../../agent/ship/ship-stats.ts';
import type { Clock } from '../../base/clock.ts';
import type { HubState } from '../../proto/answer.ts';
import { decodeBatch } from '../../proto/batch.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type RunningAgent, startAgent } from './ship-fixture.ts';

const T0 = 1_800_000_000_000;
const YEAR_MS = 365 * 86_400_000;
const PATIENCE_MS = 5000;

/** Waits are over after a turn of the event loop; the machine's clock can be set. */
class SettableHastyClock implements Clock {
  ownMs = T0 - YEAR_MS;
  #elapsedMs = 0;

  now(): number {
    return this.ownMs + this.#elapsedMs;
  }

  elapsedMs(): number {
    return this.#elapsedMs;
  }

  async sleep(ms: number, _signal?: AbortSignal): Promise<void> {
    this.#elapsedMs += ms;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A hub that says its time and takes nothing else; where it is away it says nothing. */
class TellingLink extends UnmeasuredLink {
  isAway = false;
  /** Which requests bring the time. */
  telling: 'questions' | 'heartbeats' | 'all' = 'all';
  questions = 0;
  heartbeats = 0;
  destination: 'taking' | 'timeout' = 'taking';
  /** What became of a batch of samples. */
  batch: () => HubReply = () => ({ kind: 'unreachable', message: 'the hub did nothing for 60 s' });
  readonly #clock: SettableHastyClock;

  constructor(clock: SettableHastyClock) {
    super();
    this.#clock = clock;
  }

  async postBatch(frame: Uint8Array): Promise<HubReply> {
    await Promise.resolve();
    if (this.isAway) return away;
    if (decodeBatch(decompressFrame(frame, 2 ** 20)).lane !== 'heartbeat') return this.batch();
    this.heartbeats++;
    return {
      kind: 'answer',
      answer: {
        settlement: emptySettlement(),
        dictionaryOffset: 0,
        hubClockMs: this.telling === 'questions' ? 0 : this.nowMs,
        destination: this.destination,
      },
    };
  }

  async askPositions(): Promise<HubReply> {
    this.questions++;
    await Promise.resolve();
    if (this.isAway || this.telling === 'heartbeats') return away;
    return { kind: 'state', state: this.state };
  }

  get nowMs(): number {
    return T0 + this.#clock.elapsedMs();
  }

  get state(): HubState {
    return {
      reason: 'positions',
      hub: 7n,
      epochs: [],
      tenants: [],
      currentRun: 0n,
      currentAddress: '',
      formats: [3],
      hubClockMs: this.nowMs,
      aheadMaxMs: 0,
    };
  }
}

const away: HubReply = { kind: 'unreachable', message: 'away' };

let workspace: Workspace;
let clock: SettableHastyClock;
let link: TellingLink;
let agent: RunningAgent | undefined;

beforeEach(() => {
  workspace = new Workspace('ship-clock');
  clock = new SettableHastyClock();
  link = new TellingLink(clock);
});
afterEach(async () => {
  await agent?.end();
  await workspace.close();
});

function start(): RunningAgent {
  agent = startAgent(workspace.folder, link, clock, 'clock', { maxDelayMs: 1000 });
  return agent;
}

test('the hub is asked for its time at the start, while nothing waits', async () => {
  link.telling = 'questions';
  const { hubClock } = start();
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
  expect(link.questions).toBe(1);
  expect(Math.round(hubClock.aheadMs()!)).toBe(YEAR_MS);
});

test('it is asked again and again, ever more rarely, until it answers', async () => {
  link.isAway = true;
  const { hubClock } = start();
  await until('an hour to pass', PATIENCE_MS, () => clock.elapsedMs() > 3_600_000);
  expect(link.questions).toBeGreaterThan(100);
  expect(link.questions).toBeLessThan(500);
  link.isAway = false;
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
});

test('it is asked anew once the machine’s clock was set', async () => {
  link.telling = 'questions';
  const { hubClock } = start();
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
  clock.ownMs += YEAR_MS;
  expect(hubClock.isKnown).toBe(false);
  const before = link.questions;
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
  expect(link.questions).toBeGreaterThan(before);
  expect(Math.round(hubClock.aheadMs()!)).toBe(0);
});

test('a heartbeat brings the time as well, and a wrong clock is said once', async () => {
  link.telling = 'heartbeats';
  const { hubClock, lines } = start();
  await until('heartbeats', PATIENCE_MS, () => link.heartbeats > 0);
  const heardAtMs = hubClock.now()!;
  const beats = link.heartbeats;
  await until('another heartbeat', PATIENCE_MS, () => link.heartbeats > beats + 1);
  expect(hubClock.now()).toBeGreaterThan(heardAtMs);
  clock.ownMs -= 5000;
  await until(
    'it to be heard',
    PATIENCE_MS,
    () => Math.round(hubClock.aheadMs()!) === YEAR_MS + 5000,
  );
  const said = lines.filter(({ msg }) =>
    String(msg).startsWith('the clock of this machine is not'),
  );
  expect(said).toMatchObject([{ behindSeconds: YEAR_MS / 1000 }]);
  clock.ownMs = T0;
  await until('it to be said', PATIENCE_MS, () =>
    lines.some(({ msg }) => String(msg).includes('agrees with that of the hub again')),
  );
});

test('heartbeats go on while the machine’s clock is set back again and again', async () => {
  const { stats } = start().shipper;
  await until('an answer', PATIENCE_MS, () => stats.lastAnswer !== undefined);
  clock.now = () => T0 - YEAR_MS;
  const before = link.heartbeats;
  await until('a heartbeat', PATIENCE_MS, () => link.heartbeats > before + 1);
});

test('where samples wait, their own question for the time is not doubled', async () => {
  link.telling = 'questions';
  // No time passes but what the event loop takes: as on a link whose round trip is long.
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  clock.sleep = (ms, signal) =>
    ms === 0
      ? turn()
      : new Promise((resolve) => signal?.addEventListener('abort', () => resolve()));
  const { askPositions } = link;
  link.askPositions = async () => {
    const reply = await askPositions.call(link);
    for (let turns = 0; turns < 10; turns++) await turn();
    return reply;
  };
  const { append, hubClock } = start();
  append('', [['up', T0, 1]]);
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
  expect(link.questions).toBe(1);
});

test.each([
  ['409', (state: HubState): HubReply => ({ kind: 'state', state })],
  ['415', (state: HubState): HubReply => ({ kind: 'unreadable_format', state })],
])('a %s brings the time', async (_, reply) => {
  const { hubClock, append } = start();
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
  link.batch = () => reply({ ...link.state, reason: 'gap', hubClockMs: link.nowMs + YEAR_MS });
  append('', [['up', T0, 1]]);
  await until('the other time', PATIENCE_MS, () => hubClock.aheadMs()! > 1.5 * YEAR_MS);
});

test('an old answer that a state holds says nothing of the time', async () => {
  const { hubClock, append } = start();
  await until('the time', PATIENCE_MS, () => hubClock.isKnown);
  // The batch was answered a year ago, and that answer was lost.
  const answered = { accepted: 1 };
  const settlement = { ...emptySettlement(), ...answered };
  const lastAnswer = { settlement, dictionaryOffset: 1, hubClockMs: T0 - YEAR_MS };
  let stream = 0n;
  const { postBatch, askPositions } = link;
  link.postBatch = async (frame) => {
    const batch = decodeBatch(decompressFrame(frame, 2 ** 20));
    if (batch.lane === 'live') stream = batch.stream;
    return await postBatch.call(link, frame);
  };
  link.askPositions = async () => {
    const reply = await askPositions.call(link);
    if (reply.kind !== 'state' || stream === 0n) return reply;
    const live = { stream, nextSequence: 1, answers: [{ sequence: 0, answer: lastAnswer }] };
    const tenant = { tenant: '', live, answered: [] };
    return { kind: 'state', state: { ...reply.state, tenants: [tenant] } };
  };
  append('', [['up', T0, 1]]);
  await until('the answer', PATIENCE_MS, () => agent!.shipper.stats.settled.accepted === 1);
  expect(Math.round(hubClock.aheadMs()!)).toBe(YEAR_MS);
});

test('while a batch waits in vain, heartbeats tell that the destination is the reason', async () => {
  const { append, lines, shipper } = start();
  link.destination = 'timeout';
  append('', [['up', T0, 1]]);
  const { stats } = shipper;
  await until('the state', PATIENCE_MS, () => stats.destination === 'timeout');
  await until('the trouble', PATIENCE_MS, () =>
    stats.lastTrouble!.message.startsWith(
      'the destination of the hub does not take samples: timeout; the hub did nothing',
    ),
  );
  const said = (text: string) => lines.some(({ msg }) => String(msg).includes(text));
  expect(said('the hub is there, but its destination does not take samples: see the log')).toBe(
    true,
  );
  await until('a line', PATIENCE_MS, () =>
    said('destination does not take samples: samples are kept'),
  );
  link.destination = 'taking';
  await until('the end', PATIENCE_MS, () => said('the destination of the hub takes samples again'));
  expect(stats.destination).toBe('taking');
});

test('a destination in trouble is asked for although other batches are answered', async () => {
  link.destination = 'timeout';
  const { stats } = start().shipper;
  await until('the state', PATIENCE_MS, () => stats.destination === 'timeout');
  // As when other tenants are served all the time.
  Object.defineProperty(stats, 'lastAnswer', { get: () => momentOf(clock), set: () => {} });
  link.destination = 'taking';
  await until('the end', PATIENCE_MS, () => stats.destination === 'taking');
});

import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../base/assert.ts';
import { Backoff } from '../base/backoff.ts';
import { systemClock } from '../base/clock.ts';
import { AGENT_LOG_NAME, createLog, type Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { type DataDirLock, lockDataDir } from '../base/sqlite/data-dir-lock.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { Buffer } from './buffer/buffer.ts';
import { NoRoomError } from './buffer/disk-fault.ts';
import { GroupCommit } from './buffer/group-commit.ts';
import { emptyLosses, type Losses } from './buffer/losses.ts';
import type { AgentConfig } from './config.ts';
import { discardIn } from './discard.ts';
import { handOverDictionary } from './hand-over.ts';
import { houseKeeping } from './house-keeping.ts';
import { HubClock } from './hub-clock.ts';
import { insist } from './insist.ts';
import { Outbound } from './outbound.ts';
import { PACKING } from './packing.ts';
import { HubClient } from './ship/hub-client.ts';
import { LinkBytes } from './ship/link-bytes.ts';
import { LinkPacer } from './ship/link-pacer.ts';
import { emptyShipStats, type ShipStats } from './ship/ship-stats.ts';
import type { Shipper } from './ship/shipper.ts';
import type { FromWorker, ToWorker, WorkerStart, WorkerStats } from './worker-messages.ts';
import { statsOf } from './worker-stats.ts';

/*
 * The agent's second thread: buffer ▶ encode ▶ ship. It owns SQLite, so that neither a sync nor a
 * compression ever delays an answer to Prometheus.
 *
 * What works on one buffer is a life. Damage to its files ends it, or a disk that gives out what is
 * needed no more; the next one begins like a start of the agent, with what could be salvaged, and the
 * counters go on. No fault of the disk ends the process: samples may be in open files only.
 */

/** A tenant has up to three live batches in flight, and eight packs: stuck ones hold up no others. */
const CONNECTIONS_MAX = 256;
/** Between attempts to set a buffer aside, and between short lives: every one leaves a copy. */
const RECOVERY = { minMs: 1000, maxMs: 60_000 };
const LONG_LIFE_MS = 600_000;

assert(parentPort !== null, 'agent/worker.ts is a worker');
const port = parentPort;
const clock = systemClock;
const random = systemRandom;
const { config } = workerData as WorkerStart;
start(config, createLog({ level: config.logLevel, name: AGENT_LOG_NAME }));

function say(message: FromWorker): void {
  port.postMessage(message);
}

interface Running {
  config: AgentConfig;
  log: Log;
  link: HubClient;
  pacer: LinkPacer;
  hubClock: HubClock;
  /** Counters of the process. */
  ship: ShipStats;
  losses: Losses;
  ending: AbortController;
  /** Resolves when the last life is over and its buffer closed. */
  ended: Promise<void>;
  /** Undefined before the first life. */
  lock: DataDirLock | undefined;
  /** Undefined while a buffer is opened or salvaged. */
  life: Life | undefined;
  /** As they were when the last life ended. */
  lastStats: WorkerStats | undefined;
}

interface Life {
  number: number;
  buffer: Buffer;
  shipper: Shipper;
  commits: GroupCommit;
  /** Epochs begun since the life began. */
  epochNumber: number;
}

function start(config: AgentConfig, log: Log): void {
  const linkBytes = new LinkBytes(config.link.overhead);
  const { dataDir } = config;
  const hubClock = new HubClock(clock, (hubMs) => say({ kind: 'hub clock', hubMs }));
  // Days, months and hours of the schedule are those of the hub's clock.
  const linkClock = { ...clock, now: () => hubClock.likelyNow() };
  const pacer = new LinkPacer(config.link, {
    linkBytes: linkBytes.ip,
    dataDir,
    clock: linkClock,
    log,
  });
  const running: Running = {
    config,
    log,
    link: new HubClient(
      {
        ...config.hub,
        agentId: config.agentId,
        connectionsMax: CONNECTIONS_MAX,
      },
      { clock, linkBytes, pacer, log },
    ),
    pacer,
    hubClock,
    ship: emptyShipStats(),
    losses: emptyLosses(),
    ending: new AbortController(),
    ended: Promise.resolve(),
    lock: undefined,
    life: undefined,
    lastStats: undefined,
  };
  listen(running);
  running.ended = live(running);
}

/** One life after the other, until the agent stops. */
async function live(running: Running): Promise<void> {
  const { ending, log } = running;
  const backoff = new Backoff(RECOVERY, random);
  let unforgotten: Buffer['unforgotten'] = [];
  let shortLives = 0;
  for (let number = 1; !ending.signal.aborted; number++) {
    const buffer = await open(running, number, unforgotten, backoff);
    if (buffer === undefined) return;
    const beganMs = clock.elapsedMs();
    const end = await runLife(running, number, buffer);
    if (end === 'stopped') return buffer.close();
    unforgotten = buffer.unforgotten;
    say({ kind: 'preparing', life: number + 1 });
    await insist('end the use of the buffer', () => endUse(running, buffer), {
      log,
      clock,
      ending: ending.signal,
      backoff,
    });
    shortLives = clock.elapsedMs() - beganMs < LONG_LIFE_MS ? shortLives + 1 : 0;
    if (shortLives > 1) await clock.sleep(backoff.next(), ending.signal);
    else backoff.reset();
  }
}

/** Closes the files once nothing is lost with that; damaged ones are set aside. */
function endUse(running: Running, buffer: Buffer): void {
  if (buffer.isDamaged) {
    keepLocked(running);
    buffer.abandon();
  } else buffer.close();
}

/** Opens the buffer; undefined when that fails at the start of the agent, or when it stops. */
async function open(
  running: Running,
  life: number,
  unforgotten: Buffer['unforgotten'],
  backoff: Backoff,
): Promise<Buffer | undefined> {
  const { config, log, losses, ending, hubClock } = running;
  const onDelay = (): void => say({ kind: 'preparing', life });
  const triedSinceMs = clock.elapsedMs();
  const openLocked = (): Buffer => {
    keepLocked(running);
    return new Buffer(
      { dataDir: config.dataDir, ...config.buffer },
      { clock, hubClock, random, log, losses, unforgotten, onDelay, triedSinceMs },
    );
  };
  try {
    if (life === 1) return openLocked();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!(error instanceof NoRoomError)) {
      say({ kind: 'failed', message: `cannot open ${config.dataDir}: ${error.message}` });
      port.close();
      return undefined;
    }
  }
  return insist('open the buffer', openLocked, { log, clock, ending: ending.signal, backoff });
}

/** Another folder may have the name of the data_dir that this process has locked before. */
function keepLocked(running: Running): void {
  if (running.lock?.isInPlace() === true) return;
  running.lock = lockDataDir(running.config.dataDir, 'agent');
}

/** Runs everything on a buffer until the agent stops or the buffer cannot go on. */
async function runLife(
  running: Running,
  number: number,
  buffer: Buffer,
): Promise<'stopped' | 'ended by the disk'> {
  const ending = new AbortController();
  let loops: Promise<void>[] = [];
  try {
    handOverDictionary(buffer.dictionary, say);
    loops = startLoops(
      running,
      number,
      buffer,
      AbortSignal.any([ending.signal, running.ending.signal]),
    );
    await Promise.all(loops);
    buffer.housekeep();
    return 'stopped';
  } catch (error) {
    if (!buffer.isEndedBy(error)) throw error;
    running.log.error(
      { err: error },
      'the disk has stopped the work on the buffer: it begins anew',
    );
    return 'ended by the disk';
  } finally {
    ending.abort();
    await Promise.allSettled(loops);
    running.life?.commits.commit();
    running.lastStats = statsOf(running, buffer);
    running.life = undefined;
  }
}

function startLoops(
  running: Running,
  number: number,
  buffer: Buffer,
  signal: AbortSignal,
): Promise<void>[] {
  const outbound = createOutbound(running, buffer);
  const { shipper } = outbound;
  const commits = new GroupCommit(buffer, () => shipper.wake());
  running.life = { number, buffer, shipper, commits, epochNumber: 0 };
  say({ kind: 'ready', run: buffer.run.toString(16) });
  const { pacer } = running;
  return [outbound.run(signal), houseKeeping({ buffer, pacer, clock }, signal)];
}

function createOutbound(running: Running, buffer: Buffer): Outbound {
  const { config, hubClock, log, link, ship: stats } = running;
  const ship = { ...config.batch, order: config.order };
  const deps = { buffer, samples: buffer, stats, link, clock, hubClock, random, log };
  return new Outbound({ ship, packing: PACKING }, deps);
}

function listen(running: Running): void {
  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'append':
        void append(running, message);
        break;
      case 'stats':
        say({ kind: 'stats', id: message.id, stats: statsNow(running) });
        break;
      case 'discard':
        void discardNow(running, message);
        break;
      case 'limit parked':
        limitParked(running, message.bytesMax);
        break;
      case 'stop':
        void stop(running, message.deadlineMs);
        break;
      default:
        unreachable(message);
    }
  });
}

async function discardNow(
  running: Running,
  { id, request }: Extract<ToWorker, { kind: 'discard' }>,
): Promise<void> {
  const { life, ending } = running;
  const ended = (): string | undefined => {
    if (ending.signal.aborted) return 'the agent is stopping';
    return running.life === life && life !== undefined ? undefined : 'the buffer is being salvaged';
  };
  say({ kind: 'discarded', id, discarded: await discardIn(life?.buffer, request, clock, ended) });
}

/** The limit holds for this life and later ones; house-keeping evicts what is beyond it. */
function limitParked(running: Running, parkedBytesMax: number): void {
  const { config, life } = running;
  running.config = { ...config, buffer: { ...config.buffer, parkedBytesMax } };
  if (life !== undefined) life.buffer.parkedBytesMax = parkedBytesMax;
}

async function append(
  { life }: Running,
  message: Extract<ToWorker, { kind: 'append' }>,
): Promise<void> {
  const { id, tenant, newEntries, epochNumber, life: number, columns } = message;
  // The ids of another life may mean something else in this one.
  if (life === undefined || number !== life.number) {
    say({ kind: 'appended', id, unavailable: 'recovering' });
    return;
  }
  const { commits, buffer } = life;
  if (epochNumber !== life.epochNumber) {
    // What came before carries ids of the epoch before.
    commits.commit();
    buffer.openEpoch();
    life.epochNumber = epochNumber;
  }
  const unavailable = await commits.add({
    tenant,
    columns: SampleColumns.of(columns),
    ...(newEntries === undefined ? {} : { newEntries }),
  });
  say({ kind: 'appended', id, ...(unavailable === undefined ? {} : { unavailable }) });
}

async function stop(running: Running, deadlineMs: number): Promise<void> {
  const { ending, link, pacer } = running;
  const isOverAtMs = clock.elapsedMs() + deadlineMs;
  const pollMs = 20;
  running.life?.shipper.drain();
  while (waiting(running) > 0 && clock.elapsedMs() < isOverAtMs) await clock.sleep(pollMs);
  ending.abort();
  await running.ended;
  await link.close();
  pacer.housekeep();
  port.close();
}

/** Samples that can be sent. */
function waiting({ life }: Running): number {
  if (life === undefined) return 0;
  const { backlog, parkedSamples } = life.buffer;
  return backlog.values().reduce((sum, samples) => sum + samples, -parkedSamples);
}

function statsNow(running: Running): WorkerStats {
  if (running.life !== undefined) return statsOf(running, running.life.buffer);
  assert(running.lastStats !== undefined, 'nobody asks before the first life');
  return running.lastStats;
}

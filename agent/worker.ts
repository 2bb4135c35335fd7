import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import { createLog, type Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { Buffer } from './buffer/buffer.ts';
import { DamagedBufferError } from './buffer/dictionary.ts';
import { GroupCommit } from './buffer/group-commit.ts';
import type { AgentConfig } from './config.ts';
import { Outbound } from './outbound.ts';
import { PACKING } from './packing.ts';
import { HubClient } from './ship/hub-client.ts';
import type { Shipper } from './ship/shipper.ts';
import type { FromWorker, ToWorker, WorkerStart, WorkerStats } from './worker-messages.ts';

/*
 * The agent's second thread: buffer ▶ encode ▶ ship. It owns SQLite, so that neither a sync nor a
 * compression ever delays an answer to Prometheus.
 */

const HOUSEKEEPING_MS = 1000;
const ENTRIES_PER_MESSAGE = 10_000;
/** A tenant has one live batch in flight, and up to eight packs; more than this take turns. */
const CONNECTIONS_MAX = 8;

assert(parentPort !== null, 'agent/worker.ts is a worker');
const port = parentPort;
const clock = systemClock;
const random = systemRandom;
const { config } = workerData as WorkerStart;
start(config, createLog({ level: config.logLevel, name: 'agent' }));

function say(message: FromWorker): void {
  port.postMessage(message);
}

function start(config: AgentConfig, log: Log): void {
  let buffer: Buffer;
  try {
    buffer = new Buffer({ dataDir: config.dataDir, ...config.buffer }, { clock, random, log });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const advice = error instanceof DamagedBufferError ? '' : `cannot open ${config.dataDir}: `;
    say({ kind: 'failed', message: `${advice}${error.message}` });
    return;
  }
  handOverDictionary(buffer);
  const link = new HubClient(
    {
      ...config.hub,
      agentId: config.agentId,
      connectionsMax: CONNECTIONS_MAX,
    },
    clock,
  );
  const ship = { ...config.batch, order: config.order };
  const outbound = new Outbound(
    { ship, packing: PACKING },
    { buffer, samples: buffer, link, clock, random, log },
  );
  const { shipper } = outbound;
  const ending = new AbortController();
  const commits = new GroupCommit(buffer, () => shipper.wake());
  const loops = Promise.all([outbound.run(ending.signal), housekeep(buffer, ending.signal)]);
  listen({ buffer, shipper, link, commits, ending, loops, epochNumber: 0 });
  say({ kind: 'ready', run: buffer.run.toString(16) });
}

function handOverDictionary(buffer: Buffer): void {
  let entries: Uint8Array[] = [];
  let firstId = 0;
  for (const entry of buffer.dictionary.entries()) {
    entries.push(entry);
    if (entries.length < ENTRIES_PER_MESSAGE) continue;
    say({ kind: 'entries', firstId, entries });
    firstId += entries.length;
    entries = [];
  }
  if (entries.length > 0) say({ kind: 'entries', firstId, entries });
}

async function housekeep(buffer: Buffer, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    buffer.housekeep();
    await clock.sleep(HOUSEKEEPING_MS, signal);
  }
}

interface Running {
  buffer: Buffer;
  shipper: Shipper;
  link: HubClient;
  commits: GroupCommit;
  ending: AbortController;
  loops: Promise<unknown>;
  /** Epochs begun since the start. */
  epochNumber: number;
}

function listen(running: Running): void {
  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'append':
        void append(running, message);
        break;
      case 'stats':
        say({ kind: 'stats', id: message.id, stats: statsOf(running) });
        break;
      case 'stop':
        void stop(running, message.deadlineMs);
        break;
      default:
        unreachable(message);
    }
  });
}

async function append(
  running: Running,
  { id, tenant, newEntries, epochNumber, ...arrays }: Extract<ToWorker, { kind: 'append' }>,
): Promise<void> {
  const { commits, buffer } = running;
  if (epochNumber !== running.epochNumber) {
    // What came before carries ids of the epoch before.
    commits.commit();
    buffer.openEpoch();
    running.epochNumber = epochNumber;
  }
  const unavailable = await commits.add({
    tenant,
    columns: SampleColumns.of(arrays),
    ...(newEntries === undefined ? {} : { newEntries }),
  });
  say({ kind: 'appended', id, ...(unavailable === undefined ? {} : { unavailable }) });
}

async function stop(
  { buffer, shipper, link, ending, loops }: Running,
  deadlineMs: number,
): Promise<void> {
  const isOverAtMs = clock.now() + deadlineMs;
  const pollMs = 20;
  shipper.drain();
  while (waiting(buffer) > 0 && clock.now() < isOverAtMs) await clock.sleep(pollMs);
  ending.abort();
  await loops;
  buffer.housekeep();
  buffer.close();
  await link.close();
  port.close();
}

function waiting(buffer: Buffer): number {
  return buffer.backlog.values().reduce((sum, samples) => sum + samples, 0);
}

function statsOf({ buffer, shipper, link }: Running): WorkerStats {
  return {
    run: buffer.run.toString(16),
    epoch: buffer.dictionary.epoch.toString(16),
    dictionaryLength: buffer.dictionary.length,
    backlog: new Map(buffer.backlog),
    bufferBytes: buffer.usedBytes(),
    oldestTimestamp: buffer.oldestTimestamp(),
    losses: buffer.losses,
    ship: shipper.stats,
    linkBytes: { up: link.linkBytes.up, down: link.linkBytes.down },
    hubUrl: link.url,
  };
}

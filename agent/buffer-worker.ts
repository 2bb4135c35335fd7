import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { assert, unreachable } from '../base/assert.ts';
import { systemClock } from '../base/clock.ts';
import type { SampleColumns } from '../proto/sample-columns.ts';
import { emptyLosses } from './buffer/losses.ts';
import type { AgentConfig } from './config.ts';
import type { Discarded, DiscardRequest } from './discard-request.ts';
import { HubClock } from './hub-clock.ts';
import { NO_LIMITS } from './ship/link-pacer.ts';
import { emptyShipStats } from './ship/ship-stats.ts';
import type { FromWorker, ToWorker, WorkerStart, WorkerStats } from './worker-messages.ts';

/** How long a sender is asked to wait, by the reason why nothing can be stored. */
const RETRY_AFTER_MS: Record<string, number> = {
  buffer_full: 15_000,
  disk_full: 15_000,
  disk_failing: 10_000,
  recovering: 5_000,
};

export interface Unavailable {
  kind: 'unavailable';
  reason: string;
  retryAfterMs: number;
}

export type AppendOutcome = { kind: 'stored' } | Unavailable;

export interface BufferWorkerEvents {
  /** An entry of the durable dictionary log, in order from id 0. */
  onEntry(entry: Uint8Array, id: number): void;
  /** The log begins again: ids given out so far are void. */
  onReset(): void;
  /** The worker has ended unasked: the process cannot go on. */
  onFailure(error: Error): void;
}

/** The main thread's end of agent/worker.ts. */
export class BufferWorker {
  /** As the worker hears it. */
  readonly hubClock = new HubClock(systemClock);
  readonly #worker: Worker;
  readonly #events: BufferWorkerEvents;
  readonly #appends = new Map<number, (outcome: AppendOutcome) => void>();
  readonly #discards = new Map<number, (discarded: Discarded) => void>();
  readonly #questions = new Map<number, (stats: WorkerStats) => void>();
  #nextId = 1;
  #life = 1;
  #epochNumber = 0;
  /** Whether the worker has a buffer that takes samples. */
  #isReady = false;
  #lastStats: WorkerStats;

  private constructor(worker: Worker, config: AgentConfig, events: BufferWorkerEvents) {
    this.#worker = worker;
    this.#events = events;
    this.#lastStats = startingStats(config);
  }

  /**
   * Starts the worker and hands the durable dictionary log over, entry by entry, before it
   * resolves; or resolves once it turns out that the buffer has to be salvaged first.
   *
   * @throws Error that says why the buffer cannot be opened and what to do
   */
  static async start(config: AgentConfig, events: BufferWorkerEvents): Promise<BufferWorker> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const workerData: WorkerStart = { config };
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), { workerData });
    const client = new BufferWorker(worker, config, events);
    let hasResolved = false;
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'failed') {
          const error = new Error(message.message);
          if (hasResolved) events.onFailure(error);
          else reject(error);
          return;
        }
        client.#receive(message);
        if (message.kind !== 'ready' && message.kind !== 'preparing') return;
        hasResolved = true;
        resolve();
      });
      worker.on('error', (error) => {
        reject(error);
        events.onFailure(error as Error);
      });
    });
    return client;
  }

  /** Why nothing can be stored at present; ids looked up meanwhile are void. */
  get unavailable(): Unavailable | undefined {
    return this.#isReady ? undefined : unavailable('recovering');
  }

  /** Resolves once the samples are committed and synced, or says why they cannot be. */
  append(batch: {
    tenant: string;
    columns: SampleColumns;
    newEntries?: { firstId: number; entries: Uint8Array[] };
  }): Promise<AppendOutcome> {
    const { tenant, newEntries } = batch;
    const id = this.#nextId++;
    const columns = batch.columns.arrays();
    this.#say(
      {
        kind: 'append',
        id,
        life: this.#life,
        epochNumber: this.#epochNumber,
        tenant,
        columns,
        ...(newEntries === undefined ? {} : { newEntries }),
      },
      [columns.ids.buffer, columns.timestamps.buffer, columns.valueBits.buffer],
    );
    return new Promise((resolve) => this.#appends.set(id, resolve));
  }

  /** Discards samples of the buffer, or counts them. */
  discard(request: DiscardRequest): Promise<Discarded> {
    const id = this.#nextId++;
    this.#say({ kind: 'discard', id, request });
    return new Promise((resolve) => this.#discards.set(id, resolve));
  }

  /** Parked samples may take `bytesMax` from now on. */
  limitParked(bytesMax: number): void {
    this.#say({ kind: 'limit parked', bytesMax });
  }

  /** From now on ids are those of a new, empty dictionary log; it begins with the next append. */
  openEpoch(): void {
    this.#epochNumber++;
  }

  /** While a buffer is salvaged: as they were before. */
  async stats(): Promise<WorkerStats> {
    if (!this.#isReady) return this.#lastStats;
    const id = this.#nextId++;
    this.#say({ kind: 'stats', id });
    return new Promise((resolve) => this.#questions.set(id, resolve));
  }

  /** Ships what is left, at most for `deadlineMs`, and closes the buffer. */
  async stop(deadlineMs: number): Promise<void> {
    const ended = once(this.#worker, 'exit');
    this.#say({ kind: 'stop', deadlineMs });
    await ended;
  }

  #say(message: ToWorker, transfer: ArrayBufferLike[] = []): void {
    this.#worker.postMessage(message, transfer as ArrayBuffer[]);
  }

  #receive(message: Exclude<FromWorker, { kind: 'failed' }>): void {
    switch (message.kind) {
      case 'preparing':
        this.#isReady = false;
        this.#life = message.life;
        this.#epochNumber = 0;
        this.#events.onReset();
        break;
      case 'entries':
        message.entries.forEach((entry, index) => {
          this.#events.onEntry(entry, message.firstId + index);
        });
        break;
      case 'ready':
        this.#isReady = true;
        break;
      case 'stats':
        this.#lastStats = message.stats;
        this.#resolve(this.#questions, message.id, message.stats);
        break;
      case 'appended':
        this.#resolve(this.#appends, message.id, outcomeOf(message.unavailable));
        break;
      case 'discarded':
        this.#resolve(this.#discards, message.id, message.discarded);
        break;
      case 'hub clock':
        this.hubClock.hear(message.hubMs);
        break;
      default:
        unreachable(message);
    }
  }

  #resolve<T>(waiting: Map<number, (value: T) => void>, id: number, value: T): void {
    const resolve = waiting.get(id);
    assert(resolve !== undefined, 'the worker answers what nobody asked');
    waiting.delete(id);
    resolve(value);
  }
}

function outcomeOf(reason: string | undefined): AppendOutcome {
  return reason === undefined ? { kind: 'stored' } : unavailable(reason);
}

function unavailable(reason: string): Unavailable {
  const retryAfterMs = RETRY_AFTER_MS[reason];
  assert(retryAfterMs !== undefined, `no wait for ${reason}`);
  return { kind: 'unavailable', reason, retryAfterMs };
}

/** Before the worker has opened its first buffer. */
function startingStats({ hub }: AgentConfig): WorkerStats {
  return {
    run: '',
    epoch: '',
    dictionaryLength: 0,
    backlog: new Map(),
    packedSamples: 0,
    parkedSamples: 0,
    parkedBytes: 0,
    bufferBytes: 0,
    oldestTimestamp: undefined,
    losses: emptyLosses(),
    ship: emptyShipStats(),
    linkBytes: { up: 0, down: 0 },
    linkIpBytes: { up: 0, down: 0 },
    link: NO_LIMITS,
    hubUrl: hub.urls[0] ?? '',
    clock: { aheadMs: undefined, isConfirmed: false },
  };
}

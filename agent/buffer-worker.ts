import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { SampleColumns } from '../proto/sample-columns.ts';
import type { AgentConfig } from './config.ts';
import type { FromWorker, ToWorker, WorkerStart, WorkerStats } from './worker-messages.ts';

/** How long a sender is asked to wait, by the reason why nothing can be stored. */
const RETRY_AFTER_MS: Record<string, number> = {
  buffer_full: 15_000,
  disk_full: 15_000,
  disk_failing: 10_000,
};

export type AppendOutcome =
  | { kind: 'stored' }
  | { kind: 'unavailable'; reason: string; retryAfterMs: number };

/** The main thread's end of agent/worker.ts. */
export class BufferWorker {
  readonly #worker: Worker;
  readonly #appends = new Map<number, (outcome: AppendOutcome) => void>();
  readonly #questions = new Map<number, (stats: WorkerStats) => void>();
  #nextId = 1;
  #epochNumber = 0;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * Starts the worker and hands the durable dictionary log over, entry by entry, before it
   * resolves.
   *
   * @param onFailure the worker has ended unasked: the process cannot go on
   * @throws Error that says why the buffer cannot be opened and what to do
   */
  static async start(
    config: AgentConfig,
    onEntry: (entry: Uint8Array, id: number) => void,
    onFailure: (error: Error) => void,
  ): Promise<BufferWorker> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const workerData: WorkerStart = { config };
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), { workerData });
    const client = new BufferWorker(worker);
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') resolve();
        else if (message.kind === 'failed') reject(new Error(message.message));
        else if (message.kind === 'entries') {
          message.entries.forEach((entry, index) => {
            onEntry(entry, message.firstId + index);
          });
        } else client.#receive(message);
      });
      worker.on('error', (error) => {
        reject(error);
        onFailure(error as Error);
      });
    });
    return client;
  }

  /** Resolves once the samples are committed and synced, or says why they cannot be. */
  append(batch: {
    tenant: string;
    columns: SampleColumns;
    newEntries?: { firstId: number; entries: Uint8Array[] };
  }): Promise<AppendOutcome> {
    const { tenant, columns, newEntries } = batch;
    const id = this.#nextId++;
    const ids = columns.ids.slice(0, columns.count);
    const timestamps = columns.timestamps.slice(0, columns.count);
    const valueBits = columns.valueBits.slice(0, columns.count * 2);
    this.#say(
      {
        kind: 'append',
        id,
        epochNumber: this.#epochNumber,
        tenant,
        ids,
        timestamps,
        valueBits,
        ...(newEntries === undefined ? {} : { newEntries }),
      },
      [ids.buffer, timestamps.buffer, valueBits.buffer],
    );
    return new Promise((resolve) => this.#appends.set(id, resolve));
  }

  /** From now on ids are those of a new, empty dictionary log; it begins with the next append. */
  openEpoch(): void {
    this.#epochNumber++;
  }

  stats(): Promise<WorkerStats> {
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

  #receive(message: Extract<FromWorker, { id: number }>): void {
    if (message.kind === 'stats') this.#resolve(this.#questions, message.id, message.stats);
    else this.#resolve(this.#appends, message.id, outcomeOf(message.unavailable));
  }

  #resolve<T>(waiting: Map<number, (value: T) => void>, id: number, value: T): void {
    const resolve = waiting.get(id);
    assert(resolve !== undefined, 'the worker answers what nobody asked');
    waiting.delete(id);
    resolve(value);
  }
}

function outcomeOf(unavailable: string | undefined): AppendOutcome {
  if (unavailable === undefined) return { kind: 'stored' };
  const retryAfterMs = RETRY_AFTER_MS[unavailable];
  assert(retryAfterMs !== undefined, `no wait for ${unavailable}`);
  return { kind: 'unavailable', reason: unavailable, retryAfterMs };
}

import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type {
  DescribedRequest,
  RefusedRequest,
  RefusedSink,
  RefusedTotal,
} from '../refused-request.ts';
import { describeRequest } from './description.ts';
import { SteadyTime } from './steady-time.ts';

/** What the record needs of its database. */
export interface RecordStore {
  add(records: readonly DescribedRequest[]): number;
  removeBefore(atMs: number): number;
  shrink(): void;
  totals(): RefusedTotal[];
  /** False once the file was deleted or replaced. */
  isInPlace(): boolean;
  close(): void;
}

/** Why the record no longer holds, or never held, what was refused. */
export type DropReason = 'age' | 'bytes' | 'disk';

export interface RefusedRecordDeps {
  /** Opens the database; asked again after a failure. */
  open(): RecordStore;
  /** Told of every failure, with the database closed: the time to set a damaged file aside. */
  failed(error: unknown): void;
  /** 0: not limited. */
  ageMaxMs: number;
  dropped(reason: DropReason, records: number): void;
  clock: Clock;
  log: BoundedLog;
}

const TIDY_EVERY_MS = 10_000;

/**
 * The bounded record of what the destination refused, for people and for a replay.
 *
 * It is there for the samples and never in their way: a disk that takes nothing costs the record,
 * which is counted and logged, and delivery goes on.
 */
export class RefusedRecord implements RefusedSink {
  readonly #deps: RefusedRecordDeps;
  readonly #steadyTime: SteadyTime;
  #store: RecordStore | undefined;
  #waiting: RefusedRequest[] = [];
  #commit: Promise<void> | undefined;
  #isClosed = false;

  constructor(deps: RefusedRecordDeps) {
    this.#deps = deps;
    this.#steadyTime = new SteadyTime(deps.clock);
    this.#attempt(0, () => {});
  }

  /** Commits with all that comes in the same turn of the event loop: one sync serves them all. */
  keep(requests: readonly RefusedRequest[]): Promise<void> {
    this.#waiting.push(...requests);
    this.#commit ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#commitWaiting();
        resolve();
      });
    });
    return this.#commit;
  }

  /** What the record holds, by reason; empty while its disk fails. */
  totals(): RefusedTotal[] {
    let totals: RefusedTotal[] = [];
    this.#attempt(0, (store) => {
      totals = store.totals();
    });
    return totals;
  }

  /** Drops what is too old until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(TIDY_EVERY_MS, signal);
      if (!signal.aborted) this.#attempt(0, (store) => this.#tidy(store));
    }
  }

  /** Keeps what still waits; what comes later is given up. */
  async close(): Promise<void> {
    await this.#commit;
    this.#isClosed = true;
    this.#store?.close();
    this.#store = undefined;
  }

  #commitWaiting(): void {
    const { clock } = this.#deps;
    const requests = this.#waiting;
    this.#waiting = [];
    this.#commit = undefined;
    this.#attempt(requests.length, (store) => {
      const nowMs = clock.now();
      this.#noteRemoved(store.add(requests.map((request) => describeRequest(request, nowMs))));
    });
  }

  #tidy(store: RecordStore): void {
    const { ageMaxMs, dropped } = this.#deps;
    const nowMs = this.#steadyTime.now();
    if (ageMaxMs > 0 && nowMs !== undefined) dropped('age', store.removeBefore(nowMs - ageMaxMs));
    store.shrink();
  }

  #noteRemoved(removed: number): void {
    if (removed === 0) return;
    const { dropped, log } = this.#deps;
    dropped('bytes', removed);
    const message = 'dropped the oldest records of refused samples: refused.max_bytes is reached';
    log.warn('refused bytes', { records: removed }, message);
  }

  #leave(): void {
    this.#store?.close();
    this.#store = undefined;
    const message = 'refused.db was deleted or replaced: what it held is no longer kept';
    this.#deps.log.warn('refused gone', {}, message);
  }

  /** The one place where a failing disk is met; `records` are lost to the record with it. */
  #attempt(records: number, work: (store: RecordStore) => void): void {
    const { dropped, failed, log, open } = this.#deps;
    try {
      if (this.#isClosed) throw new Error('the record is closed');
      if (this.#store?.isInPlace() === false) this.#leave();
      this.#store ??= open();
      work(this.#store);
    } catch (error) {
      this.#store?.close();
      this.#store = undefined;
      failed(error);
      dropped('disk', records);
      const message = 'cannot use refused.db: what is refused is counted, but not kept';
      log.error('refused disk', { err: error, records }, message);
    }
  }
}

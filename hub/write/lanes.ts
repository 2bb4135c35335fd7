import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { addSettlement, emptySettlement, type Settlement } from '../../proto/settlement.ts';

/**
 * `cancelled`: the fate of some samples is unknown; they have to be written again. `newestMs`: the
 * newest timestamp that the destination has taken or deduplicated; -∞: nothing.
 */
export type DeliveryResult =
  | { kind: 'settled'; settlement: Settlement; newestMs: number }
  | { kind: 'cancelled' };

/**
 * `cancel` ends a delivery between two attempts; `end`, which implies it, breaks off an attempt
 * as well.
 */
export interface DeliverySignals {
  cancel: AbortSignal;
  end: AbortSignal;
}

/** Writes one request until every sample of it is answered for, or until it is cancelled. */
export type Deliver = (
  request: OutgoingRequest,
  signals: DeliverySignals,
) => Promise<DeliveryResult>;

interface Queued {
  request: OutgoingRequest;
  batch: OpenBatch;
  cancel: AbortSignal;
}

interface Lane {
  queue: Queued[];
  busy: boolean;
  /** Resolves when the lane has run out of requests. */
  idle: Promise<void>;
}

/**
 * The lanes of one agent and tenant, by the numbers that requests name.
 *
 * Ordering: each lane delivers one request at a time, in the order in which they came, and goes
 * on only when it is settled. A request that is held up holds up its own lane alone.
 */
export class Lanes {
  readonly #lanes = new Map<number, Lane>();
  readonly #deliver: Deliver;
  readonly #end: AbortSignal;
  #stream = new AbortController();
  #cancel: AbortSignal;

  /** @param end gives up everything, attempts in flight included */
  constructor(deliver: Deliver, end: AbortSignal) {
    this.#deliver = deliver;
    this.#end = end;
    this.#cancel = AbortSignal.any([this.#stream.signal, end]);
  }

  /** Resolves when every sample of every request is answered for, or when one was cancelled. */
  settle(requests: readonly OutgoingRequest[]): Promise<DeliveryResult> {
    const batch = new OpenBatch(requests.length);
    for (const request of requests) {
      this.#lane(request.lane).queue.push({ request, batch, cancel: this.#cancel });
    }
    for (const lane of this.#lanes.values()) {
      if (lane.queue.length > 0 && !lane.busy) lane.idle = this.#run(lane);
    }
    return batch.result;
  }

  /** Drops what is not in flight: the agent has opened a new stream and will send it again. */
  cancelQueued(): void {
    this.#stream.abort();
    this.#stream = new AbortController();
    this.#cancel = AbortSignal.any([this.#stream.signal, this.#end]);
  }

  /** Resolves when nothing is in flight and nothing queued. */
  async idle(): Promise<void> {
    await Promise.all(Array.from(this.#lanes.values(), (lane) => lane.idle));
  }

  #lane(number: number): Lane {
    let lane = this.#lanes.get(number);
    if (lane === undefined) {
      lane = { queue: [], busy: false, idle: Promise.resolve() };
      this.#lanes.set(number, lane);
    }
    return lane;
  }

  async #run(lane: Lane): Promise<void> {
    lane.busy = true;
    for (let next = lane.queue.shift(); next !== undefined; next = lane.queue.shift()) {
      const { request, batch, cancel } = next;
      try {
        const cancelled = cancel.aborted;
        const signals = { cancel, end: this.#end };
        batch.close(cancelled ? { kind: 'cancelled' } : await this.#deliver(request, signals));
      } catch (error) {
        batch.fail(error);
      }
    }
    lane.busy = false;
  }
}

/** Gathers what became of the requests of one batch. */
class OpenBatch {
  readonly result: Promise<DeliveryResult>;
  readonly #settlement = emptySettlement();
  #newestMs = Number.NEGATIVE_INFINITY;
  readonly #resolve: (result: DeliveryResult) => void;
  readonly #reject: (error: unknown) => void;
  #open: number;
  #cancelled = false;

  constructor(requests: number) {
    const { promise, resolve, reject } = Promise.withResolvers<DeliveryResult>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#open = requests;
    if (requests === 0) this.#finish();
  }

  close(result: DeliveryResult): void {
    if (result.kind === 'settled') {
      addSettlement(this.#settlement, result.settlement);
      this.#newestMs = Math.max(this.#newestMs, result.newestMs);
    } else {
      this.#cancelled = true;
    }
    this.#open--;
    if (this.#open === 0) this.#finish();
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  #finish(): void {
    if (this.#cancelled) {
      this.#resolve({ kind: 'cancelled' });
    } else {
      this.#resolve({ kind: 'settled', settlement: this.#settlement, newestMs: this.#newestMs });
    }
  }
}

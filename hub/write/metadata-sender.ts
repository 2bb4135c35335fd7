import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import { type DestinationKind, judgeAnswer } from '../../proto/outcome.ts';
import { encodeMetadataRequest } from '../../proto/remote-write/metadata-out.ts';
import { cut } from './account.ts';
import { messageOf, type Post, type PostResult } from './post.ts';
import { RefusedMetadata } from './refused-metadata.ts';

/** What is known of the metric families of one tenant. */
export interface TenantMetadata {
  tenant: string;
  /** Canonical MetricMetadata by family. */
  records: ReadonlyMap<string, Uint8Array>;
}

export interface MetadataSenderDeps {
  kind: DestinationKind;
  post: Post;
  clock: Clock;
  log: BoundedLog;
}

/** As Prometheus does: metadata_config.send_interval and max_samples_per_send. */
const SEND_EVERY_MS = 60_000;
const RECORDS_PER_REQUEST_MAX = 2000;
/** Of one tenant in a round; what is left comes first in the next one. */
const REQUESTS_PER_ROUND_MAX = 64;
/** Until an ingestion rate has room again. */
const RATE_WAIT_MS = 1000;
/** In a row: enough to come from a full request down to one record. */
const WAITS_MAX = 12;

/** What an answer means for the records of a request. */
type Verdict =
  | 'taken'
  /** One of the records or more is to blame. */
  | 'refused'
  /** The destination has failed, over a record or at all. */
  | 'failed'
  /** More at once than the tenant may write. */
  | 'too many'
  | 'not now';

/** Between rounds. */
interface Progress {
  /** Records that were taken at once; twice as many are tried. */
  size: number;
  /** Where the last round has stopped. */
  from: number;
}

/**
 * Tells the destination at intervals what it has forgotten: destinations keep HELP, TYPE and UNIT
 * in memory only. It crosses the border once, and from here as often as Prometheus would send it.
 * Always in version 1.0: in 2.0 metadata hangs on a TimeSeries with samples, and it is known here by
 * family, not by series.
 *
 * A request that is refused is halved until the guilty records are found; these are left out for a
 * day, and the rest is delivered. Metadata is no sample: what fails otherwise is logged, and the next
 * round mends it.
 */
export class MetadataSender {
  readonly #deps: MetadataSenderDeps;
  readonly #refused: RefusedMetadata;
  readonly #progress = new Map<string, Progress>();

  constructor(deps: MetadataSenderDeps) {
    this.#deps = deps;
    this.#refused = new RefusedMetadata(deps);
  }

  /** Sends what is known, every minute; one tenant does not wait for another. */
  async run(known: () => Iterable<TenantMetadata>, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#deps.clock.sleep(SEND_EVERY_MS, signal);
      const byTenant = recordsByTenant(known());
      await Promise.all(
        Array.from(byTenant, ([tenant, records]) => this.#sendTenant(tenant, records, signal)),
      );
      if (signal.aborted) return;
    }
  }

  async #sendTenant(
    tenant: string,
    records: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = records.filter((record) => !this.#refused.has(tenant, record));
    if (wanted.length === 0) return;
    const { size, from } = this.#progress.get(tenant) ?? { size: RECORDS_PER_REQUEST_MAX, from: 0 };
    const start = from < wanted.length ? from : 0;
    const round = new Round([...wanted.slice(start), ...wanted.slice(0, start)], size * 2);
    for (let requests = 0; requests < REQUESTS_PER_ROUND_MAX; requests++) {
      const part = round.next();
      if (part === undefined || signal.aborted) break;
      const body = encodeMetadataRequest(part);
      const result = await this.#deps.post({ tenant, protocol: 'v1', body, attempt: 0, signal });
      if (signal.aborted) break;
      const verdict = this.#judge(result);
      const guilty = round.settle(verdict);
      if (guilty !== undefined) this.#refused.add(tenant, guilty, messageOf(result));
      if (round.isOver) this.#sayNotTaken(tenant, result);
      else if (verdict === 'too many') await this.#deps.clock.sleep(RATE_WAIT_MS, signal);
    }
    this.#progress.set(tenant, {
      size: round.sizeTaken,
      from: (start + round.left) % wanted.length,
    });
  }

  #judge(result: PostResult): Verdict {
    if (result.kind !== 'answer') return 'not now';
    if (result.status < 300) return 'taken';
    const outcome = judgeAnswer(this.#deps.kind, 'v1', result);
    switch (outcome.kind) {
      case 'halve':
      case 'partial':
      case 'atomic':
      case 'refused':
        return 'refused';
      case 'retry':
        if (outcome.halve) return 'too many';
        return outcome.failed ? 'failed' : 'not now';
      default:
        return 'not now';
    }
  }

  #sayNotTaken(tenant: string, result: PostResult): void {
    this.#deps.log.warn(
      'metadata',
      { tenant, answer: cut(messageOf(result)) },
      'the destination has not taken metadata (HELP, TYPE): it is sent again in a minute',
    );
  }
}

function recordsByTenant(known: Iterable<TenantMetadata>): Map<string, Uint8Array[]> {
  const byTenant = new Map<string, Uint8Array[]>();
  for (const { tenant, records } of known) {
    byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), ...records.values()]);
  }
  return byTenant;
}

/** The records of one tenant on their way, in requests that shrink as answers ask for. */
class Round {
  /** Whether there is no use in going on. */
  isOver = false;
  readonly #records: readonly Uint8Array[];
  /** What remains, in its order: the next part is the last. */
  readonly #parts: { from: number; to: number }[];
  #sizeMax: number;
  #taken = 0;
  /** Since something was taken. */
  #waits = 0;

  constructor(records: readonly Uint8Array[], sizeMax: number) {
    this.#records = records;
    this.#parts = records.length === 0 ? [] : [{ from: 0, to: records.length }];
    this.#sizeMax = Math.min(sizeMax, RECORDS_PER_REQUEST_MAX);
  }

  /** The largest request that was taken, or would have been tried. */
  get sizeTaken(): number {
    return this.#taken === 0 ? this.#sizeMax : this.#taken;
  }

  /** Index of the first record that has not come to its end; 0 after all of them. */
  get left(): number {
    return this.#parts.at(-1)?.from ?? 0;
  }

  /** The records of the next request; undefined: there are none, or there is no use in it. */
  next(): readonly Uint8Array[] | undefined {
    const part = this.#parts.at(-1);
    if (part === undefined || this.isOver) return undefined;
    const to = Math.min(part.to, part.from + this.#sizeMax);
    this.#cut(to);
    return this.#records.slice(part.from, to);
  }

  /** @returns the record that is to blame, where it is known */
  settle(verdict: Verdict): Uint8Array | undefined {
    const part = this.#parts.at(-1)!;
    const count = part.to - part.from;
    switch (verdict) {
      case 'taken':
        this.#taken = Math.max(this.#taken, count);
        this.#waits = 0;
        this.#parts.pop();
        return undefined;
      case 'too many':
        // As many were taken before: a smaller request would not help, a moment does.
        if (count > this.#taken) this.#sizeMax = Math.ceil(count / 2);
        this.isOver = ++this.#waits > WAITS_MAX;
        return undefined;
      case 'not now':
        return this.#leave();
      case 'failed':
        // Where nothing was taken, it is the destination that fails.
        if (count === 1 && this.#taken === 0) return this.#leave();
        return this.#search(part);
      case 'refused':
        return this.#search(part);
    }
  }

  /** Ends the round; the next one begins behind the part, as that may be what fails. */
  #leave(): undefined {
    this.#parts.pop();
    this.isOver = true;
  }

  /** Halves a part; a single record is what was looked for. */
  #search({ from, to }: { from: number; to: number }): Uint8Array | undefined {
    if (to - from > 1) {
      this.#cut(Math.ceil((from + to) / 2));
      return undefined;
    }
    this.#parts.pop();
    return this.#records[from];
  }

  /** Cuts the next part in two. */
  #cut(at: number): void {
    const part = this.#parts.pop()!;
    if (at < part.to) this.#parts.push({ from: at, to: part.to });
    this.#parts.push({ from: part.from, to: at });
  }
}

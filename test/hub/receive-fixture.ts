import type { Clock } from '../../base/clock.ts';
import { type AgeLimitOptions, AgeLimits } from '../../hub/age-limits.ts';
import { DestinationHealth } from '../../hub/destination-health.ts';
import { DictionaryCopy } from '../../hub/expand/dictionary-copy.ts';
import type { KnownAgent, ReceiveLimits } from '../../hub/receive/contracts.ts';
import { Receiver } from '../../hub/receive/receiver.ts';
import type { Reply } from '../../hub/receive/reply.ts';
import type { RefusedRequest } from '../../hub/refused-request.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import type { Post } from '../../hub/write/post.ts';
import { RefusalSearch } from '../../hub/write/refusal-search.ts';
import { ReplicaCover } from '../../hub/write/replica-cover.ts';
import { RequestBodies } from '../../hub/write/request-bodies.ts';
import { SetAside } from '../../hub/write/set-aside.ts';
import { createWriter } from '../../hub/writer.ts';
import { type Answer, decodeAnswer, decodeHubState, type HubState } from '../../proto/answer.ts';
import { type Batch, encodeBatch, type LiveBatch, type PackBatch } from '../../proto/batch.ts';
import { encodeEntries } from '../../proto/dictionary/part-encoder.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { CHAIN_START, extendChain } from '../../proto/hash-chain.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import { PackEncoder } from '../../proto/pack.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { type SampleEncoder, sampleFormats } from '../../proto/sample-format.ts';
import { compressFrame } from '../../proto/zstd.ts';
import { decodeExactly, labelNotation } from '../tools/exact-remote-write.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { columnsOf, labelBytes } from './series-fixture.ts';
import { InstantClock } from './write-fixture.ts';

/** What a destination has stored: `tenant series@timestamp`, in the order of its arrival. */
export class RecordingDestination {
  readonly stored: string[] = [];
  requests = 0;
  #gate: { opened: Promise<void>; open: () => void } | undefined;

  /** From now on requests arrive and wait for `release`. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = { opened: promise, open: resolve };
  }

  release(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  readonly post: Post = async ({ tenant, body, signal }) => {
    this.requests++;
    const gone = new Promise<'gone'>((resolve) => {
      signal.addEventListener('abort', () => resolve('gone'), { once: true });
    });
    if ((await Promise.race([this.#gate?.opened, gone])) === 'gone') {
      return { kind: 'failed', message: 'aborted', timedOut: false, mayHaveArrived: true };
    }
    for (const { labels, samples } of decodeExactly(body)) {
      for (const { timestamp } of samples) {
        this.stored.push(`${tenant} ${labelNotation(labels)}@${timestamp}`);
      }
    }
    return { kind: 'answer', status: 200, headers: {}, body: '' };
  };
}

export interface RunningReceiver {
  receiver: Receiver<DictionaryCopy>;
  store: HubStore;
  events: string[];
  lines: string[];
  /** What the lag is told of each batch: agent and newest timestamp. */
  newest: string[];
  /** What the record of refused samples is given. */
  refused: RefusedRequest[];
  /** Ends it as kill -9 does: nothing is saved any more, what is being written is given up. */
  kill(): void;
}

export const LIMITS: ReceiveLimits = {
  decodedBytesMax: 8 * 2 ** 20,
  heldBytesMax: 64 * 2 ** 20,
  seriesPerAgentMax: 10_000,
  aheadMaxMs: 2 ** 50,
};

/**
 * Lets everything run until it waits for the destination: nothing here needs more than promises,
 * and all of those are through before the next turn of the event loop.
 */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A real receiver over a real store, expansion, lanes and delivery; `post` is the destination. */
export function startReceiver(
  dataDir: string,
  post: Post,
  limits: Partial<ReceiveLimits> = {},
  seed = 'hub',
  clock: Clock = new InstantClock(),
  ageOptions: Partial<AgeLimitOptions> = {},
  kind: DestinationKind = 'cortex',
): RunningReceiver {
  const random = seededRandom(`${seed} ${dataDir}`);
  const events: string[] = [];
  const lines: string[] = [];
  const newest: string[] = [];
  const refused: RefusedRequest[] = [];
  const log = {
    warn: (key: string) => void lines.push(key),
    error: (key: string) => void lines.push(key),
  };
  const ending = new AbortController();
  const store = new HubStore(dataDir, random, { clock, log });
  const metrics = { request: () => {}, heldByMisconfiguration: () => {} };
  const ages = new AgeLimits(
    { sampleAgeMaxMs: 0, sampleAheadMaxMs: 0, outOfOrderTimeWindowMs: 0, ...ageOptions },
    { store, clock, log },
  );
  const health = new DestinationHealth(kind, clock);
  const delivery = {
    kind,
    post: health.watch(post),
    bodies: new RequestBodies('v1'),
    setAside: new SetAside(0, clock),
    search: new RefusalSearch(0, clock),
    replicas: new ReplicaCover(ageOptions.outOfOrderTimeWindowMs ?? 0, clock),
    refused: {
      keep: async (requests: readonly RefusedRequest[]) => void refused.push(...requests),
    },
    ages,
    clock,
    random,
    metrics,
    log,
  } as const;
  const options = { lanes: 4, samplesPerRequestMax: 2000, separateReplicas: true };
  const receiver = new Receiver<DictionaryCopy>({
    store,
    createCopy: () => new DictionaryCopy({ clusterLabel: 'cluster', replicaLabel: '__replica__' }),
    createWriter: (agent, tenant, named) =>
      createWriter({ agent, tenant, named }, options, delivery, ending.signal),
    ages,
    destinationState: (tenants) => health.of(tenants),
    limits: { ...LIMITS, ...limits },
    metrics: {
      heard: () => {},
      offered: () => {},
      settled: (agent, _settlement, newestMs) => void newest.push(`${agent} ${newestMs}`),
      event: (agent, name) => void events.push(`${agent} ${name}`),
    },
    clock,
    random,
    log,
  });
  const kill = (): void => {
    ending.abort();
    store.close();
  };
  return { receiver, store, events, lines, newest, refused, kill };
}

export const AGENT: KnownAgent = { id: 'sg', tenants: ['overseas', 'second'] };

/** An agent reduced to what crosses the border; nothing keeps it from breaking the protocol. */
export class AgentDouble {
  run: bigint;
  epoch: bigint;
  readonly #entries: Uint8Array[] = [];
  readonly #encoders = new Map<bigint, SampleEncoder>();
  readonly #sections = new Map<string, Uint8Array>();

  constructor(run: bigint, epoch = run + 1000n) {
    this.run = run;
    this.epoch = epoch;
  }

  /** Adds series `{__name__="<name>"}`, or one with these labels, to the log; returns its id. */
  series(series: string | Record<string, string>, tenant = ''): number {
    const labels = typeof series === 'string' ? { __name__: series } : series;
    return this.#entries.push(encodeSeriesEntry(tenant, labelBytes(labels))) - 1;
  }

  /** The log from entry `from` on. */
  part(from = 0, to = this.#entries.length): NonNullable<LiveBatch['dictionary']> {
    let hash = CHAIN_START;
    for (const entry of this.#entries.slice(0, from)) hash = extendChain(hash, entry);
    return { offset: from, hash, entries: encodeEntries(this.#entries.slice(from, to)) };
  }

  keyframe(tenant = ''): NonNullable<LiveBatch['keyframe']> {
    return { tenant, samplesFormat: 3, epoch: this.epoch, epochsInUse: [this.epoch] };
  }

  /**
   * A batch of [id, timestamp] rows; sequence 0 opens the stream and states the whole dictionary.
   * Position: segments first to last of this run.
   */
  live(
    stream: bigint,
    sequence: number,
    rows: readonly (readonly [number, number])[],
    [first, last]: readonly [number, number],
    over: Partial<LiveBatch> = {},
  ): Uint8Array {
    const columns = columnsOf(rows);
    return frame({
      lane: 'live',
      run: this.run,
      sentAtMs: 1,
      stream,
      sequence,
      ...(sequence === 0 ? { keyframe: this.keyframe(), dictionary: this.part() } : {}),
      positions: [{ run: this.run, first, last }],
      samplesCount: columns.count,
      samples: this.#section(stream, sequence, columns),
      mayBeRedelivered: false,
      ...over,
    });
  }

  /** A pack of [id, timestamp] rows, which states the whole dictionary. */
  pack(
    row: bigint,
    sequence: number,
    rows: readonly (readonly [number, number])[],
    [first, last]: readonly [number, number],
    over: Partial<PackBatch> = {},
  ): Uint8Array {
    const encoder = new PackEncoder(sampleFormats.get(3)!, () => 0);
    encoder.add(columnsOf(rows));
    return frame({
      lane: 'pack',
      run: this.run,
      sentAtMs: 1,
      stream: row,
      sequence,
      keyframe: this.keyframe(),
      dictionary: this.part(),
      positions: [{ run: this.run, first, last }],
      samplesCount: rows.length,
      samples: encoder.finish(),
      mayBeRedelivered: false,
      unordered: false,
      ...over,
    });
  }

  /** The same section again for the same batch, as a resend has it. */
  #section(stream: bigint, sequence: number, columns: SampleColumns): Uint8Array {
    const key = `${this.run} ${stream} ${sequence} ${columns.timestamps.subarray(0, columns.count)}`;
    let section = this.#sections.get(key);
    if (section === undefined) {
      if (sequence === 0) this.#encoders.delete(stream);
      const encoder = this.#encoders.get(stream) ?? sampleFormats.get(3)!.createEncoder(() => 0);
      this.#encoders.set(stream, encoder);
      section = encoder.encode(columns);
      this.#sections.set(key, section);
    }
    return section;
  }

  dictionary(part = this.part()): Uint8Array {
    const { run, epoch } = this;
    const epochsInUse = [epoch];
    return frame({ lane: 'dictionary', run, sentAtMs: 1, epoch, epochsInUse, dictionary: part });
  }

  heartbeat(): Uint8Array {
    return frame({ lane: 'heartbeat', run: this.run, sentAtMs: 1 });
  }
}

export function frame(batch: Batch): Uint8Array {
  return compressFrame(encodeBatch(batch), 3);
}

export type Seen =
  | { status: 200; answer: Answer }
  | { status: 409 | 415; state: HubState }
  | { status: number; text: string };

/** A reply, opened. */
export function seen({ status, body }: Reply): Seen {
  if (status === 200) return { status, answer: decodeAnswer(body) };
  if (status === 409 || status === 415) return { status, state: decodeHubState(body) };
  return { status, text: Buffer.from(body).toString() };
}

/** `200 accepted` counts, or the status with the reason: what most tests look at. */
export function gist(reply: Reply): string {
  const opened = seen(reply);
  if ('answer' in opened) {
    const { accepted, redelivered } = opened.answer.settlement;
    return `200 accepted ${accepted} redelivered ${redelivered}`;
  }
  return 'state' in opened ? `${opened.status} ${opened.state.reason}` : `${opened.status}`;
}

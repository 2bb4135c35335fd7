import { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { HubClock } from '../../agent/hub-clock.ts';
import { Outbound } from '../../agent/outbound.ts';
import { PACKING, type PackingOptions } from '../../agent/packing.ts';
import type { ShipOptions } from '../../agent/ship/contracts.ts';
import type { Kind } from '../../agent/ship/exchange.ts';
import {
  HubClient,
  type HubClientOptions,
  type HubLink,
  type HubReply,
} from '../../agent/ship/hub-client.ts';
import { LinkBytes } from '../../agent/ship/link-bytes.ts';
import { LinkPacer } from '../../agent/ship/link-pacer.ts';
import type { Shipper } from '../../agent/ship/shipper.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { type HttpServer, startHttpServer } from '../../base/http-server.ts';
import type { Log } from '../../base/log.ts';
import { Agents } from '../../hub/agents.ts';
import type { ReceiveLimits } from '../../hub/receive/contracts.ts';
import { receiveRoutes } from '../../hub/receive/routes.ts';
import type { Post } from '../../hub/write/post.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { type RunningReceiver, startReceiver } from '../hub/receive-fixture.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { seededRandom } from '../tools/seeded-random.ts';

export const TOKEN = 'secret';
const TENANTS = ['overseas', 'second'];

/** Waits are over after a turn of the event loop, as long as they say on the clock. */
export class HastyClock implements Clock {
  ms = 1_800_000_000_000;

  now(): number {
    return this.ms;
  }

  elapsedMs(): number {
    return this.ms;
  }

  async sleep(ms: number): Promise<void> {
    this.ms += ms;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const TIMES = 20;

/** Time passes so many times as fast, and so do waits: for what depends on how long things take. */
export class FastClock implements Clock {
  readonly #beganAtMs = Date.now();
  #skippedMs = 0;

  now(): number {
    return 1_800_000_000_000 + this.#skippedMs + TIMES * (Date.now() - this.#beganAtMs);
  }

  elapsedMs(): number {
    return this.now();
  }

  /** No wait under way ends sooner for that. */
  skip(ms: number): void {
    this.#skippedMs += ms;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(ms / TIMES, signal);
  }
}

export interface RunningHub extends RunningReceiver {
  url: string;
  /** Drops connections and memory; only what is durable is left. */
  end(): Promise<void>;
}

export interface HubOptions extends Partial<ReceiveLimits> {
  batchBytesMax?: number;
  /** Those of the agent. */
  tenants?: string[];
}

/** A real receiver behind real HTTP. */
export async function startHub(
  dataDir: string,
  post: Post,
  { tenants = TENANTS, ...limits }: HubOptions = {},
  seed = 'hub',
  clock?: Clock,
): Promise<RunningHub> {
  const { log } = memoryLog();
  // Not one that gets a body for every sample of a series: each would take its time.
  const running = startReceiver(dataDir, post, limits, seed, clock, {}, 'generic');
  const agents = new Agents([{ id: 'sg', token: TOKEN, tenants }]);
  const server: HttpServer = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: receiveRoutes(running.receiver, {
      authenticate: (authorization) => {
        const result = agents.authenticate(authorization);
        return result.kind === 'known' ? result.agent : undefined;
      },
      batchBytesMax: limits.batchBytesMax ?? 2 ** 20,
      requestTimeoutMs: 5000,
      silenceMs: 5000,
    }),
    log,
    headerTimeoutMs: 5000,
    requestTimeoutMs: 5000,
    connectionAgeMaxMs: 60_000,
    connectionsMax: 100,
    lean: true,
  });
  const end = async (): Promise<void> => {
    running.kill();
    await server.close(0);
  };
  return { ...running, url: server.url, end };
}

/** A client as the agent makes it. */
export function connect(url: string, clock: Clock, token = TOKEN): HubClient {
  return unlimitedClient({ urls: [url], token }, clock);
}

/** A client on a link without limits. */
export function unlimitedClient(
  some: Partial<HubClientOptions> & Pick<HubClientOptions, 'urls'>,
  clock: Clock,
  log: Log = memoryLog().log,
): HubClient {
  const options: HubClientOptions = {
    agentId: 'sg',
    token: TOKEN,
    requestTimeoutMs: 5000,
    connectTimeoutMs: 5000,
    connectionsMax: 4,
    ...some,
  };
  const linkBytes = new LinkBytes(1);
  const limits = { bytesPerSecondMax: 0, timeZone: 'UTC', overhead: 1, schedule: [], quotas: [] };
  const pacer = new LinkPacer(limits, { linkBytes, dataDir: '', clock, log });
  return new HubClient(options, { clock, linkBytes, pacer, log });
}

export type Fate = 'delivered' | 'request lost' | 'answer lost' | 'sent twice';

/** A link whose other end can be replaced, and on which every request has its fate drawn. */
export class FickleLink implements HubLink {
  client: HubClient;
  fate: () => Fate = () => 'delivered';
  /** What a body may have. */
  bytesMax = Number.POSITIVE_INFINITY;
  readonly frameBytes: number[] = [];
  questions = 0;
  /** Requests whose answer nobody waits for. */
  readonly #stray = new Set<Promise<unknown>>();

  constructor(client: HubClient) {
    this.client = client;
  }

  postBatch(frame: Uint8Array, signal: AbortSignal, kind: Kind): Promise<HubReply> {
    this.frameBytes.push(frame.length);
    return this.#exchange(() => this.client.postBatch(frame, signal, kind));
  }

  bodyBytes(): number {
    return this.bytesMax;
  }

  atOnce(): number {
    return 1;
  }

  askPositions(signal: AbortSignal): Promise<HubReply> {
    this.questions++;
    return this.#exchange(() => this.client.askPositions(signal));
  }

  /** Resolves when nothing is under way that was given up here. */
  async quiet(): Promise<void> {
    await Promise.all(this.#stray);
  }

  async #exchange(request: () => Promise<HubReply>): Promise<HubReply> {
    switch (this.fate()) {
      case 'delivered':
        return await request();
      case 'request lost':
        return { kind: 'unreachable', message: 'request lost' };
      case 'answer lost':
        this.#stray.add(request());
        return { kind: 'unreachable', message: 'answer lost' };
      case 'sent twice':
        this.#stray.add(request());
        return await request();
    }
  }
}

export interface RunningAgent {
  buffer: SampleBuffer;
  shipper: Shipper;
  hubClock: HubClock;
  lines: Record<string, unknown>[];
  /** Settles when the shipping has ended. */
  running: Promise<void>;
  /** Appends samples, [series, timestamp, low half of the value]; throws when they are not kept. */
  append(tenant: string, rows: readonly (readonly [string, number, number])[]): void;
  /** Begins an empty dictionary: every series gets another id. */
  openEpoch(): void;
  /** Stops everything; what is not answered for stays on disk. */
  end(): Promise<void>;
}

/** Buffer, encoder and shipping joined as agent/worker.ts does; ids are given out here. */
export function startAgent(
  dataDir: string,
  link: HubLink,
  clock: Clock,
  seed: string,
  options: Partial<ShipOptions> & { packing?: Partial<PackingOptions> } = {},
): RunningAgent {
  const { log, lines } = memoryLog();
  const random = seededRandom(seed);
  const limits = {
    bytesMax: 2 ** 26,
    parkedBytesMax: 2 ** 24,
    ageMaxMs: 0,
    whenFull: 'reject',
    freeDiskBytesMin: 0,
  } as const;
  const hubClock = new HubClock(clock);
  const buffer = new SampleBuffer({ dataDir, ...limits }, { clock, hubClock, random, log });
  const outbound = new Outbound(
    {
      ship: { maxDelayMs: 1000, samplesMax: 1000, order: 'oldest_first', ...options },
      // No packs unless a test asks for them, nor by series.
      packing: { ...PACKING, samplesPerSeriesMin: 0, ageMinMs: 1e15, ...options.packing },
    },
    { buffer, samples: buffer, link, clock, hubClock, random, log },
  );
  const { shipper } = outbound;
  const ids = new Map<string, number>();
  for (const entry of buffer.dictionary.entries()) ids.set(hex(entry), ids.size);
  const ending = new AbortController();
  const running = outbound.run(ending.signal);

  function append(tenant: string, rows: readonly (readonly [string, number, number])[]): void {
    const firstId = ids.size;
    const entries: Uint8Array[] = [];
    const columns = new SampleColumns();
    for (const [name, timestamp, low] of rows) {
      const entry = encodeSeriesEntry(tenant, labelBytes({ __name__: name }));
      let id = ids.get(hex(entry));
      if (id === undefined) {
        id = ids.size;
        ids.set(hex(entry), id);
        entries.push(entry);
      }
      columns.push(id, timestamp, low, 0x7ff00000);
    }
    const newEntries = entries.length === 0 ? {} : { newEntries: { firstId, entries } };
    const unavailable = buffer.append([{ tenant, columns, ...newEntries }]);
    if (unavailable !== undefined) throw new Error(unavailable);
    shipper.wake();
  }

  return {
    buffer,
    shipper,
    hubClock,
    lines,
    running,
    append,
    openEpoch() {
      ids.clear();
      buffer.openEpoch();
    },
    async end() {
      ending.abort();
      await running;
      buffer.close();
    },
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Samples that wait, over all tenants. */
export function waiting({ buffer }: RunningAgent): number {
  return buffer.backlog.values().reduce((sum, samples) => sum + samples, 0);
}

import type { Clock } from '../../base/clock.ts';
import { createConnector, NeverConnectedError } from '../../base/connector.ts';
import type { Log } from '../../base/log.ts';
import { parseRetryAfter } from '../../base/retry-after.ts';
import { type Answer, decodeAnswer, decodeHubState, type HubState } from '../../proto/answer.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { Exchange, type Kind, type Request, type Suspicion } from './exchange.ts';
import { HubConnections } from './hub-connections.ts';
import { HubUrls } from './hub-urls.ts';
import type { LinkBytes } from './link-bytes.ts';
import { LinkGauge } from './link-gauge.ts';
import type { LinkPacer } from './link-pacer.ts';
import type { Traffic } from './link-turns.ts';
import { OverError, SilenceError } from './peer-limit.ts';

/** What a hub, or whatever stands in front of it, made of a request. */
export type HubReply =
  /** `exchangeBytes`: what crossed the link beside the frame, headers of packets included. */
  | { kind: 'answer'; answer: Answer; exchangeBytes?: number }
  /** The answer to a question, or 409: the batch does not fit what the hub holds. */
  | { kind: 'state'; state: HubState }
  | { kind: 'too_large'; message: string }
  | { kind: 'unreadable_format'; state: HubState }
  /** The hub cannot read what arrived. */
  | { kind: 'unreadable'; message: string }
  /** Not now; the data stays here. */
  | { kind: 'busy'; retryAfterMs: number | undefined; message: string }
  /**
   * No answer came: the hub may or may not have received the request. `isOver`: it was given up
   * because of what was found elsewhere. `isSilent`: the link looks dead, and another attempt costs
   * next to nothing. `isCutOff`: the connection stood and ended.
   */
  | {
      kind: 'unreachable';
      message: string;
      isOver?: boolean;
      isSilent?: boolean;
      isCutOff?: boolean;
    }
  /** The agent may not write into the tenant; into others it may. */
  | { kind: 'forbidden'; message: string }
  /** Repeating it will not help until somebody changes a configuration. */
  | { kind: 'misconfigured'; message: string };

/** The link to the hub, an argument of the shipping loop so that faults can be injected. */
export interface HubLink {
  /**
   * Waits for its turn where the link is limited; `live` and `prompt` go before `backlog`. While
   * nothing moves, `suspect` is asked from time to time whether that is the end of it.
   */
  postBatch(
    frame: Uint8Array,
    signal: AbortSignal,
    kind: Kind,
    suspect?: Suspicion,
  ): Promise<HubReply>;
  /** Waits for nothing. */
  askPositions(signal: AbortSignal): Promise<HubReply>;
  /** What a body may have so that it lasts about ten seconds on the link as it is now. */
  bodyBytes(traffic: Traffic): number;
  /** How many bodies of a tenant may share the link whatever their size. */
  atOnce(traffic: Traffic): number;
}

export interface HubClientOptions {
  /** In order of preference: after a failure the next one is tried. */
  urls: string[];
  agentId: string;
  token: string;
  caPem?: string | undefined;
  /** For silence: nothing moves, and no answer comes. */
  requestTimeoutMs: number;
  /** For one address to accept a connection, while nothing is known of the link. */
  connectTimeoutMs: number;
  /** Of each traffic: a tenant has some live batches in flight, and some packs. */
  connectionsMax: number;
}

export interface HubClientTools {
  clock: Clock;
  linkBytes: LinkBytes;
  pacer: LinkPacer;
  log: Log;
}

/** One of the URLs. */
interface Hub {
  /** Of the URL, without a slash at the end. */
  path: string;
  gauge: LinkGauge;
  connections: Record<Kind, HubConnections>;
}

/** A question that is asked while another one is under way needs one more. */
const PROMPT_CONNECTIONS_MAX = 16;
/** The hub over HTTP. Credentials travel as Basic: the agent's id and its token in one header. */
export class HubClient implements HubLink {
  readonly linkBytes: LinkBytes;
  readonly #options: HubClientOptions;
  readonly #tools: HubClientTools;
  readonly #urls: HubUrls;
  /** By URL. */
  readonly #hubs: Hub[];
  readonly #authorization: string;
  readonly #closing = new AbortController();
  /** That is not written yet. */
  #question: Promise<HubReply> | undefined;

  constructor(options: HubClientOptions, tools: HubClientTools) {
    this.#options = options;
    this.#tools = tools;
    this.linkBytes = tools.linkBytes;
    this.#urls = new HubUrls(options.urls, tools.log);
    const credentials = Buffer.from(`${options.agentId}:${options.token}`).toString('base64');
    this.#authorization = `Basic ${credentials}`;
    this.#hubs = options.urls.map((url) => this.#hub(new URL(url)));
  }

  get url(): string {
    return this.#urls.current;
  }

  bodyBytes(traffic: Traffic): number {
    return this.#hubs[this.#urls.index]!.gauge.bodyBytes(traffic);
  }

  atOnce(traffic: Traffic): number {
    return this.#hubs[this.#urls.index]!.gauge.atOnce(traffic);
  }

  async postBatch(
    frame: Uint8Array,
    signal: AbortSignal,
    kind: Kind,
    suspect?: Suspicion,
  ): Promise<HubReply> {
    const request = { method: 'POST', path: '/v1/batch', kind, frame, suspect } as const;
    const { pacer } = this.#tools;
    if (!pacer.isLimited) return await this.#exchange(request, signal);
    const pass = await pacer.begin(frame, kind === 'prompt' ? 'live' : kind, signal);
    if (pass === undefined) return { kind: 'unreachable', message: 'given up before it began' };
    try {
      return await this.#exchange({ ...request, pass }, signal);
    } finally {
      pass.end();
    }
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    const given = Promise.withResolvers<HubReply>();
    const giveUp = (): void => given.resolve({ kind: 'unreachable', message: 'given up' });
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    this.#question ??= this.#ask();
    const reply = await Promise.race([given.promise, this.#question]);
    signal.removeEventListener('abort', giveUp);
    return reply;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const all = this.#hubs.flatMap(({ connections }) => Object.values(connections));
    await Promise.all(all.map((connections) => connections.close()));
  }

  #hub({ origin, pathname }: URL): Hub {
    const { caPem, connectTimeoutMs, connectionsMax } = this.#options;
    const { linkBytes } = this;
    const gauge = new LinkGauge(connectTimeoutMs);
    const connector = createConnector({ caPem, attemptLimitMs: () => gauge.promptLimitMs() });
    const common = { origin, connector, linkBytes, gauge, idle: [] };
    const open = (max: number): HubConnections =>
      new HubConnections({ ...common, connectionsMax: max });
    return {
      path: pathname.replace(/\/$/, ''),
      gauge,
      connections: {
        live: open(connectionsMax),
        backlog: open(connectionsMax),
        prompt: open(PROMPT_CONNECTIONS_MAX),
      },
    };
  }

  /**
   * Whoever asks before the question is written shares it: while the link is down all tenants ask
   * again and again.
   */
  #ask(): Promise<HubReply> {
    const onBegin = (): void => {
      this.#question = undefined;
    };
    const question = { method: 'GET', path: '/v1/positions', kind: 'prompt', onBegin } as const;
    return this.#exchange(question, this.#closing.signal).finally(onBegin);
  }

  async #exchange(request: Request, signal: AbortSignal): Promise<HubReply> {
    const index = this.#urls.index;
    const hub = this.#hubs[index]!;
    const connections = hub.connections[request.kind];
    const connection = await connections.take(signal);
    if (connection === undefined) {
      return { kind: 'unreachable', message: 'given up before it began' };
    }
    const exchange = new Exchange(request, hub.gauge, connection, this.#options.requestTimeoutMs);
    try {
      const headers = { authorization: this.#authorization };
      const response = await exchange.send(hub.path, headers, signal);
      const bytes = new Uint8Array(await response.body.arrayBuffer());
      exchange.answered();
      const exchangeBytes = exchange.bytesBesideFrame();
      this.#urls.reached();
      const retryAfter = response.headers['retry-after'];
      const reply = readReply(response.statusCode, bytes, {
        question: request.method === 'GET',
        retryAfterMs: parseRetryAfter(
          Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
          this.#tools.clock.now(),
        ),
      });
      return reply.kind === 'answer' ? { ...reply, exchangeBytes } : reply;
    } catch (error) {
      const isOver = error instanceof OverError;
      const isSilent = exchange.failed(error);
      // Not because the agent has given a request up itself.
      if (!signal.aborted && !isOver) this.#urls.failed(index, exchange, error);
      const isCutOff = !signal.aborted && !isOver && !isSilent && isEnd(error);
      return { kind: 'unreachable', message: describe(error), isOver, isSilent, isCutOff };
    } finally {
      exchange.end();
      connections.release(connection);
    }
  }
}

/** Whether a connection that stood has ended. */
function isEnd(error: unknown): boolean {
  return !(error instanceof NeverConnectedError || error instanceof SilenceError);
}

/** Pure: the table of protocol answers. */
export function readReply(
  status: number,
  body: Uint8Array,
  { question, retryAfterMs }: { question: boolean; retryAfterMs: number | undefined },
): HubReply {
  const message = (): string => `${status} ${Buffer.from(body).toString('utf8', 0, 512).trim()}`;
  try {
    switch (status) {
      case 200:
        return question
          ? { kind: 'state', state: decodeHubState(body) }
          : { kind: 'answer', answer: decodeAnswer(body) };
      case 409:
        return { kind: 'state', state: decodeHubState(body) };
      case 400:
        return { kind: 'unreadable', message: message() };
      case 403:
        return { kind: 'forbidden', message: message() };
      case 413:
        return { kind: 'too_large', message: message() };
      case 415:
        return { kind: 'unreadable_format', state: decodeHubState(body) };
      default:
        return status === 408 || status === 425 || status === 429 || status >= 500
          ? { kind: 'busy', retryAfterMs, message: message() }
          : { kind: 'misconfigured', message: message() };
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    // A proxy's error page, say: nobody who speaks for the hub has answered.
    return {
      kind: 'misconfigured',
      message: `${message()}: not an answer of a hub: ${error.message}`,
    };
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? `${String(error.code)} ` : '';
  return `${code}${error.message}`;
}

import type { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { parseRetryAfter } from '../../base/retry-after.ts';
import { type Answer, decodeAnswer, decodeHubState, type HubState } from '../../proto/answer.ts';
import { DecodeError } from '../../proto/bytes.ts';
import type { LinkBytes } from './link-bytes.ts';
import type { LinkPacer } from './link-pacer.ts';
import type { LinkPass } from './link-pass.ts';
import type { Traffic } from './link-turns.ts';
import { PeerLimit } from './peer-limit.ts';

/** What a hub, or whatever stands in front of it, made of a request. */
export type HubReply =
  | { kind: 'answer'; answer: Answer }
  /** The answer to a question, or 409: the batch does not fit what the hub holds. */
  | { kind: 'state'; state: HubState }
  | { kind: 'too_large'; message: string }
  | { kind: 'unreadable_format'; state: HubState }
  /** The hub cannot read what arrived. */
  | { kind: 'unreadable'; message: string }
  /** Not now; the data stays here. */
  | { kind: 'busy'; retryAfterMs: number | undefined; message: string }
  /** No answer came: the hub may or may not have received the request. */
  | { kind: 'unreachable'; message: string }
  /** The agent may not write into the tenant; into others it may. */
  | { kind: 'forbidden'; message: string }
  /** Repeating it will not help until somebody changes a configuration. */
  | { kind: 'misconfigured'; message: string };

/** The link to the hub, an argument of the shipping loop so that faults can be injected. */
export interface HubLink {
  /** Waits for its turn where the link is limited; what is `live` goes before `backlog`. */
  postBatch(frame: Uint8Array, signal: AbortSignal, traffic: Traffic): Promise<HubReply>;
  /** Waits for nothing. */
  askPositions(signal: AbortSignal): Promise<HubReply>;
}

export interface HubClientOptions {
  /** In order of preference: after a failure the next one is tried. */
  urls: string[];
  agentId: string;
  token: string;
  caPem?: string | undefined;
  requestTimeoutMs: number;
  /** Of each traffic: one for each tenant that may have a batch in flight, and one for questions. */
  connectionsMax: number;
}

export interface HubClientTools {
  clock: Clock;
  linkBytes: LinkBytes;
  pacer: LinkPacer;
}

/** What a request takes along, if anything. */
interface Request {
  method: 'GET' | 'POST';
  path: string;
  traffic: Traffic;
  frame?: Uint8Array;
  /** Where the link is limited. */
  pass?: LinkPass;
}

const ANSWER_BYTES_MAX = 16 * 2 ** 20;

/** The hub over HTTP. Credentials travel as Basic: the agent's id and its token in one header. */
export class HubClient implements HubLink {
  readonly linkBytes: LinkBytes;
  readonly #options: HubClientOptions;
  readonly #tools: HubClientTools;
  /** By URL. Apart, or a live batch would wait for one of the many packs to be written. */
  readonly #pools: Record<Traffic, Pool>[];
  readonly #authorization: string;
  #current = 0;

  constructor(options: HubClientOptions, tools: HubClientTools) {
    this.#options = options;
    this.#tools = tools;
    this.linkBytes = tools.linkBytes;
    const credentials = Buffer.from(`${options.agentId}:${options.token}`).toString('base64');
    this.#authorization = `Basic ${credentials}`;
    const tls = options.caPem === undefined ? {} : { ca: options.caPem };
    const pool = (url: string): Pool =>
      new Pool(url, {
        connections: options.connectionsMax,
        connect: tools.linkBytes.connector(tls),
        // PeerLimit knows when the hub has something to do, these do not.
        headersTimeout: 0,
        bodyTimeout: 0,
        maxResponseSize: ANSWER_BYTES_MAX,
      });
    this.#pools = options.urls.map((url) => ({ live: pool(url), backlog: pool(url) }));
  }

  get url(): string {
    return this.#options.urls[this.#current]!;
  }

  async postBatch(frame: Uint8Array, signal: AbortSignal, traffic: Traffic): Promise<HubReply> {
    const request = { method: 'POST', path: '/v1/batch', traffic, frame } as const;
    const { pacer } = this.#tools;
    if (!pacer.isLimited) return await this.#exchange(request, signal);
    const pass = await pacer.begin(frame, traffic, signal);
    if (pass === undefined) return { kind: 'unreachable', message: 'given up before it began' };
    try {
      return await this.#exchange({ ...request, pass }, signal);
    } finally {
      pass.end();
    }
  }

  askPositions(signal: AbortSignal): Promise<HubReply> {
    return this.#exchange({ method: 'GET', path: '/v1/positions', traffic: 'live' }, signal);
  }

  async close(): Promise<void> {
    const pools = this.#pools.flatMap(({ live, backlog }) => [live, backlog]);
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  async #exchange(request: Request, signal: AbortSignal): Promise<HubReply> {
    const tried = this.#current;
    const limit = new PeerLimit(this.#options.requestTimeoutMs);
    try {
      const response = await this.#send(request, tried, limit, signal);
      const bytes = new Uint8Array(await response.body.arrayBuffer());
      const retryAfter = response.headers['retry-after'];
      return readReply(response.statusCode, bytes, {
        question: request.method === 'GET',
        retryAfterMs: parseRetryAfter(
          Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
          this.#tools.clock.now(),
        ),
      });
    } catch (error) {
      // Only once for all requests that fail together: two steps could lead back to the dead hub.
      // And not because the agent has given a request up itself.
      const isStep = this.#current === tried && !signal.aborted;
      if (isStep) this.#current = (tried + 1) % this.#options.urls.length;
      return { kind: 'unreachable', message: describe(error) };
    } finally {
      limit.end();
    }
  }

  #send(
    { method, path, traffic, frame, pass }: Request,
    hub: number,
    limit: PeerLimit,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const base = new URL(this.#options.urls[hub]!).pathname.replace(/\/$/, '');
    const headers = { authorization: this.#authorization };
    // With a pass it counts when the body is asked for: connecting has a limit of its own.
    if (pass === undefined) limit.start();
    return this.#pools[hub]![traffic].request({
      method,
      path: base + path,
      headers: pass === undefined ? headers : { ...headers, 'content-length': `${pass.bytesLeft}` },
      // undici takes whatever can be iterated; its types do not say so.
      body: (pass?.parts(limit) as unknown as Readable | undefined) ?? frame ?? null,
      signal: AbortSignal.any([signal, limit.signal]),
    });
  }
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

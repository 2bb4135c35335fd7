import { Pool } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { parseRetryAfter } from '../../base/retry-after.ts';
import { type Answer, decodeAnswer, decodeHubState, type HubState } from '../../proto/answer.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { LinkBytes } from './link-bytes.ts';

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
  /** Repeating it will not help until somebody changes a configuration. */
  | { kind: 'misconfigured'; message: string };

/** Whose turn it is where the link is narrow: what is fresh, or what has waited. */
export type Traffic = 'live' | 'backlog';

/** The link to the hub, an argument of the shipping loop so that faults can be injected. */
export interface HubLink {
  postBatch(frame: Uint8Array, signal: AbortSignal, traffic: Traffic): Promise<HubReply>;
  askPositions(signal: AbortSignal): Promise<HubReply>;
}

export interface HubClientOptions {
  /** In order of preference: after a failure the next one is tried. */
  urls: string[];
  agentId: string;
  token: string;
  caPem?: string | undefined;
  requestTimeoutMs: number;
  /** For live batches and questions, and as many again for packs. */
  connectionsMax: number;
}

const ANSWER_BYTES_MAX = 16 * 2 ** 20;

/** The hub over HTTP. Credentials travel as Basic: the agent's id and its token in one header. */
export class HubClient implements HubLink {
  readonly linkBytes = new LinkBytes();
  readonly #options: HubClientOptions;
  readonly #clock: Clock;
  /** By URL. Apart, or a live batch would wait for one of the many packs to be written. */
  readonly #pools: Record<Traffic, Pool>[];
  readonly #authorization: string;
  #current = 0;

  constructor(options: HubClientOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const credentials = Buffer.from(`${options.agentId}:${options.token}`).toString('base64');
    this.#authorization = `Basic ${credentials}`;
    this.#pools = options.urls.map((url) => ({
      live: this.#createPool(url),
      backlog: this.#createPool(url),
    }));
  }

  #createPool(url: string): Pool {
    const { connectionsMax, caPem, requestTimeoutMs } = this.#options;
    return new Pool(url, {
      connections: connectionsMax,
      connect: this.linkBytes.connector(caPem === undefined ? {} : { ca: caPem }),
      headersTimeout: requestTimeoutMs,
      bodyTimeout: requestTimeoutMs,
      maxResponseSize: ANSWER_BYTES_MAX,
    });
  }

  get url(): string {
    return this.#options.urls[this.#current]!;
  }

  postBatch(frame: Uint8Array, signal: AbortSignal, traffic: Traffic): Promise<HubReply> {
    return this.#exchange('POST', '/v1/batch', frame, { signal, traffic });
  }

  askPositions(signal: AbortSignal): Promise<HubReply> {
    return this.#exchange('GET', '/v1/positions', undefined, { signal, traffic: 'live' });
  }

  async close(): Promise<void> {
    const pools = this.#pools.flatMap(({ live, backlog }) => [live, backlog]);
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  async #exchange(
    method: 'GET' | 'POST',
    path: string,
    body: Uint8Array | undefined,
    { signal, traffic }: { signal: AbortSignal; traffic: Traffic },
  ): Promise<HubReply> {
    const timeout = AbortSignal.timeout(this.#options.requestTimeoutMs);
    const tried = this.#current;
    const base = new URL(this.url).pathname.replace(/\/$/, '');
    try {
      const response = await this.#pools[tried]![traffic].request({
        method,
        path: base + path,
        headers: { authorization: this.#authorization },
        body: body ?? null,
        signal: AbortSignal.any([signal, timeout]),
      });
      const bytes = new Uint8Array(await response.body.arrayBuffer());
      const retryAfter = response.headers['retry-after'];
      return readReply(response.statusCode, bytes, {
        question: method === 'GET',
        retryAfterMs: parseRetryAfter(
          Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
          this.#clock.now(),
        ),
      });
    } catch (error) {
      // Only once for all requests that fail together: two steps could lead back to the dead hub.
      // And not because the agent has given a request up itself.
      const isStep = this.#current === tried && !signal.aborted;
      if (isStep) this.#current = (tried + 1) % this.#options.urls.length;
      return { kind: 'unreachable', message: describe(error) };
    }
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

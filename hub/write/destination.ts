import type { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import { createConnector, NeverConnectedError } from '../../base/connector.ts';
import { limitedPost, permitLimits } from './permits.ts';
import type { AnswerHeaders, Post, PostRequest, PostResult } from './post.ts';

export interface DestinationOptions {
  url: string;
  /** Name of the header that carries the tenant, such as X-Scope-OrgID. */
  tenantHeader: string;
  /** Value of the Authorization header. */
  authorization?: string;
  /** From the first byte sent to the last byte of the answer. */
  timeoutMs: number;
  /** For each of its addresses to accept a connection. */
  connectTimeoutMs: number;
  /** Requests, and so connections, at one time over all agents. */
  inFlightMax: number;
  /** Version of this program, for User-Agent. */
  version: string;
}

const ANSWER_BYTES_MAX = 64 * 1024;

/** No blank behind the semicolon: Prometheus would take the body for version 1.0, and lose it. */
const VERSION_HEADERS = {
  v1: {
    'content-type': 'application/x-protobuf',
    'x-prometheus-remote-write-version': '0.1.0',
  },
  v2: {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'x-prometheus-remote-write-version': '2.0.0',
  },
};
const WRITTEN_HEADERS = ['samples', 'histograms', 'exemplars'].map(
  (what) => `x-prometheus-remote-write-${what}-written`,
);

/** Older connections are replaced, so that changes of DNS are seen, and new replicas found. */
const CONNECTION_AGE_MAX_MS = 300_000;

/** The destination that all agents share: connections, headers, time limits; it judges nothing. */
export class Destination {
  readonly #options: DestinationOptions;
  readonly #pool: Pool;
  readonly #path: string;

  constructor(options: DestinationOptions) {
    const { origin, pathname, search } = new URL(options.url);
    this.#options = options;
    this.#path = pathname + search;
    const limits = permitLimits(options.inFlightMax);
    this.post = limitedPost((request) => this.#attempt(request), limits);
    this.#pool = new Pool(origin, {
      connections: options.inFlightMax,
      connect: createConnector({ attemptLimitMs: () => options.connectTimeoutMs }),
      clientTtl: CONNECTION_AGE_MAX_MS,
      // #attempt has one time limit for all of it; these would only shadow it.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Beyond `inFlightMax`, requests wait before their time limit starts, not in the pool. */
  readonly post: Post;

  /** Ends all connections; attempts that are still open fail. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #attempt(request: PostRequest): Promise<PostResult> {
    if (request.signal.aborted) return failed('given up', false, false);
    const controller = new AbortController();
    const abort = () => controller.abort();
    let timedOut = false;
    let timer: NodeJS.Timeout | undefined;
    // Before that nothing can have been stored, and connecting has a limit of its own.
    const began = (): void => {
      timer = setTimeout(() => {
        timedOut = true;
        abort();
      }, this.#options.timeoutMs);
    };
    request.signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#exchange(request, controller.signal, began);
    } catch (error) {
      if (timedOut) return failed(`no answer in ${this.#options.timeoutMs} ms`, true, true);
      // All other failures may have come after the body was stored.
      return failed((error as Error).message, false, !(error instanceof NeverConnectedError));
    } finally {
      clearTimeout(timer);
      request.signal.removeEventListener('abort', abort);
    }
  }

  async #exchange(
    request: PostRequest,
    signal: AbortSignal,
    began: () => void,
  ): Promise<PostResult> {
    const answer = await this.#pool.request({
      method: 'POST',
      path: this.#path,
      headers: this.#headers(request),
      // undici takes whatever can be iterated; its types do not say so.
      body: bodyOf(request, began) as unknown as Readable,
      signal,
    });
    return {
      kind: 'answer',
      status: answer.statusCode,
      headers: headersOf(answer.headers),
      body: await readStart(answer.body),
    };
  }

  #headers({ tenant, protocol, attempt, body }: PostRequest): Record<string, string> {
    const { tenantHeader, authorization, version } = this.#options;
    return {
      'content-encoding': 'snappy',
      'content-length': String(body.length),
      ...VERSION_HEADERS[protocol],
      'user-agent': `starferry/${version}`,
      [tenantHeader]: tenant,
      ...(authorization === undefined ? {} : { authorization }),
      ...(attempt === 0 ? {} : { 'retry-attempt': String(attempt) }),
    };
  }
}

/** The body in one piece; `began` is called when it is asked for, with the connection standing. */
async function* bodyOf({ body }: PostRequest, began: () => void): AsyncGenerator<Uint8Array> {
  began();
  yield body;
}

function headersOf(headers: Dispatcher.ResponseData['headers']): AnswerHeaders {
  const retryAfter = headers['retry-after'];
  const counts = WRITTEN_HEADERS.map((name) => headers[name]).filter((count) => isCount(count));
  return {
    ...(typeof retryAfter === 'string' ? { retryAfter } : {}),
    ...(counts.length > 0 ? { written: counts.reduce((sum, one) => sum + Number(one), 0) } : {}),
  };
}

function isCount(header: string | string[] | undefined): boolean {
  return typeof header === 'string' && /^\d{1,15}$/.test(header);
}

/**
 * The beginning of an answer's body. The status has been read, so whatever happens to the rest
 * of the message changes nothing: what came is returned.
 */
async function readStart(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= ANSWER_BYTES_MAX) break;
    }
  } catch {
    // Cut off or timed out behind the status line.
  }
  return Buffer.concat(chunks).subarray(0, ANSWER_BYTES_MAX).toString('utf8');
}

function failed(message: string, timedOut: boolean, mayHaveArrived: boolean): PostResult {
  return { kind: 'failed', message, timedOut, mayHaveArrived };
}

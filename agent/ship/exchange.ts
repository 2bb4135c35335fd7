import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { NeverConnectedError } from '../../base/connector.ts';
import type { HubConnection } from './hub-connections.ts';
import type { LinkGauge } from './link-gauge.ts';
import type { LinkPass } from './link-pass.ts';
import type { Traffic } from './link-turns.ts';
import { EXCHANGE_HEADER_BYTES } from './packet-estimate.ts';
import { PeerLimit, type PeerWatch, SilenceError } from './peer-limit.ts';
import { isAcknowledgementKnown } from './send-queue.ts';

/** Asks what became of a batch in which nothing moves; see PeerWatch. */
export type Suspicion = PeerWatch['suspect'];

/** Questions and heartbeats are apart: the hub answers them at once. */
export type Kind = Traffic | 'prompt';

/** What a request takes along, if anything. */
export interface Request {
  method: 'GET' | 'POST';
  path: string;
  kind: Kind;
  frame?: Uint8Array;
  /** Where the link is limited. */
  pass?: LinkPass;
  suspect?: Suspicion | undefined;
  /** The request is being written. */
  onBegin?: () => void;
}

/** Where the kernel does not tell what has arrived, a body may need so long: 8 kbit/s. */
const BYTES_PER_MS_MIN = 1;

/** Node tells how many parts it has handed to the kernel, and nothing of the rest of one. */
const PART_BYTES = 16 * 1024;

/** One request and its answer on a connection, as long as anything moves. */
export class Exchange {
  /** When the request was written, on the clock of `performance.now()`. */
  beganAtMs = performance.now();
  /** Whether the connection was there before. */
  readonly isReused: boolean;
  readonly #request: Request;
  readonly #gauge: LinkGauge;
  readonly #connection: HubConnection;
  readonly #limit: PeerLimit;
  readonly #ended = new AbortController();
  #isThrough = false;

  constructor(
    request: Request,
    gauge: LinkGauge,
    connection: HubConnection,
    requestTimeoutMs: number,
  ) {
    this.#request = request;
    this.#gauge = gauge;
    this.#connection = connection;
    this.isReused = connection.isOpen;
    const { kind } = request;
    const unseenMs = isAcknowledgementKnown() ? 0 : this.#bytes / BYTES_PER_MS_MIN;
    const limitMs =
      kind === 'prompt'
        ? Math.min(requestTimeoutMs, gauge.promptLimitMs())
        : requestTimeoutMs + unseenMs;
    this.#limit = new PeerLimit(Math.ceil(limitMs), {
      movement: () => connection.movement(),
      moved: () => this.#moved(),
      patienceMs: () => this.#patienceMs(),
      suspect: request.suspect ?? (() => Promise.resolve('wait')),
    });
  }

  get #bytes(): number {
    return this.#request.frame?.length ?? 0;
  }

  /** Resolves with the head of the answer; counts from when the request is written. */
  send(
    base: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { method, path, frame, pass } = this.#request;
    const parts = pass?.parts(this.#limit) ?? (frame && partsOf(frame));
    const over = AbortSignal.any([signal, this.#limit.signal]);
    // Before undici hears of it: with an orderly end the kernel would go on to send what it holds,
    // in competition with whatever is sent instead.
    over.addEventListener('abort', () => this.#connection.reset(), { signal: this.#ended.signal });
    return this.#connection.request(
      {
        method,
        path: base + path,
        headers: frame === undefined ? headers : { ...headers, 'content-length': `${this.#bytes}` },
        // undici takes whatever can be iterated; its types do not say so.
        body: (parts as unknown as Readable | undefined) ?? null,
        signal: over,
      },
      () => {
        this.beganAtMs = performance.now();
        this.#limit.start();
        this.#request.onBegin?.();
      },
    );
  }

  /** The whole answer is here. */
  answered(): void {
    const { kind } = this.#request;
    const ms = performance.now() - this.beganAtMs;
    if (kind === 'prompt') this.#gauge.answeredAtOnce(ms);
    else this.#gauge.answered(kind, ms);
    this.#crossed(true);
  }

  /** Of the request and its answer: HTTP, TLS, the answer itself, and headers of packets. */
  bytesBesideFrame(): number {
    return this.#connection.exchangedBytes() - this.#bytes + EXCHANGE_HEADER_BYTES;
  }

  /** Whether it failed because of silence where the other end answers at once. */
  failed(error: unknown): boolean {
    const isTimeout = error instanceof NeverConnectedError && error.code === 'ETIMEDOUT';
    const isUnanswered = error instanceof SilenceError && this.#request.kind === 'prompt';
    if (isTimeout || isUnanswered) this.#gauge.notAnsweredAtOnce();
    return isTimeout || isUnanswered;
  }

  end(): void {
    this.#ended.abort();
    this.#limit.end();
  }

  #moved(): void {
    this.#gauge.moved();
    const isAllWritten = (this.#request.pass?.bytesLeft ?? 0) === 0;
    this.#crossed(isAllWritten && this.#connection.isAcknowledged === true);
  }

  /** Tells the gauge once when the body is through, and while that takes too long. */
  #crossed(isThrough: boolean): void {
    const { kind } = this.#request;
    if (kind === 'prompt' || this.#isThrough) return;
    this.#isThrough = isThrough;
    this.#gauge.crossed(kind, this.#bytes, performance.now() - this.beganAtMs, isThrough);
  }

  #patienceMs(): number {
    const { kind, suspect } = this.#request;
    if (kind === 'prompt' || suspect === undefined) return Number.POSITIVE_INFINITY;
    const { isAcknowledged } = this.#connection;
    if (isAcknowledged === false) return this.#gauge.promptLimitMs();
    return this.#gauge.patienceMs(kind, isAcknowledged === undefined ? this.#bytes : 0);
  }
}

async function* partsOf(frame: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < frame.length; at += PART_BYTES) yield frame.subarray(at, at + PART_BYTES);
}

import type { Socket } from 'node:net';
import { Client, type Dispatcher } from 'undici';
import type { Connector } from '../../base/connector.ts';
import type { LinkBytes } from './link-bytes.ts';
import type { LinkGauge } from './link-gauge.ts';
import { unacknowledgedBytes } from './send-queue.ts';

/** The hub closes what is idle for 120 s; a proxy that closes sooner may say so (Keep-Alive). */
const KEEP_ALIVE_MS = 115_000;
/** Older connections are replaced, so that changes of DNS are seen, and new replicas found. */
const CONNECTION_AGE_MAX_MS = 300_000;
const ANSWER_BYTES_MAX = 16 * 2 ** 20;

export interface HubConnectionsOptions {
  origin: string;
  connector: Connector;
  linkBytes: LinkBytes;
  gauge: LinkGauge;
  connectionsMax: number;
  /** Shared by all kinds of requests to the hub. */
  idle: HubConnection[];
}

/**
 * One connection to the hub, for one request at a time. It opens with the first request, and again
 * when it was closed meanwhile.
 */
export class HubConnection {
  readonly #client: Client;
  readonly #gauge: LinkGauge;
  readonly #linkBytes: LinkBytes;
  /** Below TLS. */
  #tcp: Socket | undefined;
  /** What requests are written to. */
  #socket: Socket | undefined;
  #openedAtMs = Number.POSITIVE_INFINITY;
  #opening = Promise.withResolvers<void>();
  #bytesBefore = 0;

  constructor({ origin, connector, linkBytes, gauge }: HubConnectionsOptions) {
    this.#gauge = gauge;
    this.#linkBytes = linkBytes;
    this.#client = new Client(origin, {
      connect: (target, callback) =>
        connector(
          target,
          (...opened) => {
            if (opened[1] !== null) this.#opened(opened[1]);
            callback(...opened);
          },
          (tcp) => this.#tried(tcp),
        ),
      keepAliveTimeout: KEEP_ALIVE_MS,
      // PeerLimit knows when the hub has something to do, these do not.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: ANSWER_BYTES_MAX,
    });
  }

  /** Whether the next request goes over a connection that stands already. */
  get isOpen(): boolean {
    return this.#socket?.destroyed === false;
  }

  /** Whether to open another one instead. */
  get isOld(): boolean {
    return performance.now() - this.#openedAtMs > CONNECTION_AGE_MAX_MS;
  }

  /** @param began called when the connection stands, just before the request is written */
  request(options: Dispatcher.RequestOptions, began: () => void): Promise<Dispatcher.ResponseData> {
    const begin = (): void => {
      this.#linkBytes.look();
      this.#bytesBefore = this.#bytes;
      began();
    };
    if (this.isOpen) begin();
    else void this.#opening.promise.then(begin);
    return this.#client.request(options);
  }

  /** Bytes of the TCP connection in both directions since the last request began. */
  exchangedBytes(): number {
    this.#linkBytes.look();
    return this.#bytes - this.#bytesBefore;
  }

  get #bytes(): number {
    return this.#tcp === undefined ? 0 : this.#tcp.bytesWritten + this.#tcp.bytesRead;
  }

  /**
   * Changes whenever bytes cross the link, as far as the kernel tells. What it holds may stay the
   * same in the middle of a body: Node fills up what has left.
   */
  movement(): string {
    const { bytesRead, bytesWritten } = this.#tcp ?? {};
    return `${bytesRead} ${bytesWritten} ${this.#tcp && unacknowledgedBytes(this.#tcp)}`;
  }

  /** Whether everything that was written has arrived; undefined where the kernel does not tell. */
  get isAcknowledged(): boolean | undefined {
    const unacknowledged = this.#tcp && unacknowledgedBytes(this.#tcp);
    if (unacknowledged === undefined) return undefined;
    return unacknowledged + (this.#socket?.writableLength ?? 0) === 0;
  }

  /** Ends the connection, and drops what the kernel still holds of it: nothing more crosses. */
  reset(): void {
    if (this.#tcp?.connecting === true) this.#tcp.destroy();
    else this.#tcp?.resetAndDestroy();
  }

  async close(): Promise<void> {
    const closed = this.#client.destroy();
    this.#tcp?.destroy();
    await closed;
  }

  #tried(tcp: Socket): void {
    this.#tcp = tcp;
    this.#linkBytes.count(tcp);
    let triedAtMs = performance.now();
    tcp.on('connectionAttempt', () => {
      triedAtMs = performance.now();
    });
    tcp.once('connect', () => this.#gauge.answeredAtOnce(performance.now() - triedAtMs));
  }

  #opened(socket: Socket): void {
    this.#socket = socket;
    this.#openedAtMs = performance.now();
    this.#opening.resolve();
    socket.once('close', () => {
      this.#opening = Promise.withResolvers<void>();
    });
  }
}

/**
 * Connections to one hub: kept between requests of any kind, and bounded for each, so that requests
 * which last do not keep others from getting one.
 */
export class HubConnections {
  readonly #options: HubConnectionsOptions;
  /** The one that was used last is last. */
  readonly #idle: HubConnection[];
  readonly #busy = new Set<HubConnection>();
  readonly #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(options: HubConnectionsOptions) {
    this.#options = options;
    this.#idle = options.idle;
  }

  /** A connection that nobody else uses until `release`; undefined when that is over. */
  async take(signal: AbortSignal): Promise<HubConnection | undefined> {
    const isOver = (): boolean => signal.aborted || this.#isClosed;
    while (this.#busy.size >= this.#options.connectionsMax && !isOver()) await this.#turn(signal);
    if (isOver()) return undefined;
    const connection = this.#takeIdle() ?? new HubConnection(this.#options);
    this.#busy.add(connection);
    return connection;
  }

  release(connection: HubConnection): void {
    this.#busy.delete(connection);
    if (connection.isOpen && !connection.isOld && !this.#isClosed) this.#idle.push(connection);
    else void connection.close();
    this.#letNext();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const go of this.#waiting.splice(0)) go();
    const all = [...this.#idle.splice(0), ...this.#busy];
    await Promise.all(all.map((connection) => connection.close()));
  }

  /** Resolves when a connection was released, or `signal` was aborted. */
  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    const at = this.#waiting.indexOf(resolve);
    if (at >= 0) this.#waiting.splice(at, 1);
    else if (signal.aborted) this.#letNext();
  }

  #letNext(): void {
    this.#waiting.shift()?.();
  }

  /** What was closed by the other end, or is too old, is not used any more. */
  #takeIdle(): HubConnection | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isOpen && !idle.isOld) return idle;
      void idle.close();
    }
    return undefined;
  }
}

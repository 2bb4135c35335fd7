import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { freePort } from './ports.ts';

/** Bytes on their way in one direction of one connection; beyond, the sender has to wait. */
const inFlightBytesMax = 16 << 20;

/** Up is from the proxy's clients to its target. */
export type Direction = 'up' | 'down';

/** One connection through the proxy. Aborting `ended` ends what is still on its way. */
interface Link {
  client: Socket;
  target?: Socket;
  ended: AbortController;
}

export interface TcpProxyOptions {
  target: { host: string; port: number };
  clock?: Clock;
}

/** Starts a proxy on a free port of 127.0.0.1. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const proxy = new TcpProxy(options.target, await freePort(), options.clock ?? systemClock);
  await proxy.restore();
  return proxy;
}

/**
 * A TCP link that tests can spoil. What has been read from one side is delivered to the other in
 * order, after the delay, and only while the link is not a black hole; that holds for the end of
 * a connection too, so that a request abandoned during an outage may still arrive after it.
 */
export class TcpProxy {
  readonly port: number;
  /** How often connections have been cut, by whatever means. */
  cuts = 0;
  readonly #target: TcpProxyOptions['target'];
  readonly #clock: Clock;
  readonly #links = new Set<Link>();
  readonly #bytes = { up: 0, down: 0 };
  readonly #delayMs = { up: 0, down: 0 };
  #server: Server | undefined;
  /** Settled while bytes may pass. */
  #gate = Promise.withResolvers<void>();
  #cutAfter: { direction: Direction; bytes: number } | undefined;

  constructor(target: TcpProxyOptions['target'], port: number, clock: Clock) {
    this.#target = target;
    this.port = port;
    this.#clock = clock;
  }

  /** Payload bytes delivered to the target. */
  get bytesUp(): number {
    return this.#bytes.up;
  }

  /** Payload bytes delivered to clients. */
  get bytesDown(): number {
    return this.#bytes.down;
  }

  /** Ends every connection, by RST or by FIN, and refuses new ones until `restore`. */
  async cut(how: 'reset' | 'finish' = 'reset'): Promise<void> {
    this.#cutLinks(how);
    if (this.#server === undefined) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server = undefined;
    await closed;
  }

  /** Connections stay and new ones are accepted, but nothing passes until `restore`. */
  blackhole(): void {
    this.#gate = Promise.withResolvers<void>();
  }

  /** Undoes `cut` and `blackhole`; what was held back by the latter is delivered now. */
  async restore(): Promise<void> {
    this.#gate.resolve();
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      void this.#accept(client);
    });
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  /** Delays what arrives from now on; both ways unless a direction is given. */
  setDelay(ms: number, direction?: Direction): void {
    if (direction !== 'down') this.#delayMs.up = ms;
    if (direction !== 'up') this.#delayMs.down = ms;
  }

  /**
   * Resets every connection once, as soon as `bytes` more bytes have been delivered in
   * `direction`: in the middle of a body, or (`down`) between a request and its answer.
   * Connections made afterwards work again.
   */
  cutAfterBytes(bytes: number, direction: Direction = 'up'): void {
    this.#cutAfter = { direction, bytes };
  }

  async close(): Promise<void> {
    await this.cut();
  }

  #cutLinks(how: 'reset' | 'finish'): void {
    this.cuts++;
    for (const { client, target, ended } of this.#links) {
      ended.abort();
      for (const socket of [client, target]) {
        if (how === 'reset') socket?.resetAndDestroy();
        else socket?.destroy();
      }
    }
    this.#links.clear();
  }

  async #accept(client: Socket): Promise<void> {
    const link: Link = { client, ended: new AbortController() };
    this.#links.add(link);
    // What a socket suffered reaches the other side through its 'close'.
    client.on('error', ignore);
    await this.#gate.promise;
    if (link.ended.signal.aborted) return;
    const target = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    target.on('error', ignore);
    link.target = target;
    this.#carry(link, client, target, 'up');
    this.#carry(link, target, client, 'down');
    client.resume();
  }

  /** Delivers what `from` says to `to`, one thing after the other. */
  #carry(link: Link, from: Socket, to: Socket, direction: Direction): void {
    let inFlightBytes = 0;
    let last = Promise.resolve();
    const enqueue = (deliver: () => Promise<void> | void) => {
      const dueAt = this.#clock.now() + this.#delayMs[direction];
      last = last.then(async () => {
        await this.#passage(dueAt, link.ended.signal);
        if (!link.ended.signal.aborted) await deliver();
      });
    };
    from.on('data', (chunk: Buffer) => {
      inFlightBytes += chunk.length;
      if (inFlightBytes > inFlightBytesMax) from.pause();
      enqueue(async () => {
        await this.#deliver(chunk, to, direction);
        inFlightBytes -= chunk.length;
        if (from.isPaused()) from.resume();
      });
    });
    from.on('end', () => enqueue(() => void to.end()));
    from.on('close', (hadError) => {
      enqueue(() => {
        if (hadError) to.resetAndDestroy();
        else to.destroy();
        this.#links.delete(link);
      });
    });
  }

  /** Resolves when what arrived with a delay until `dueAt` may pass, or its link has ended. */
  async #passage(dueAt: number, ended: AbortSignal): Promise<void> {
    const waitMs = dueAt - this.#clock.now();
    if (waitMs > 0) await this.#clock.sleep(waitMs, ended);
    await this.#gate.promise;
  }

  async #deliver(chunk: Buffer, to: Socket, direction: Direction): Promise<void> {
    const cutAfter = this.#cutAfter?.direction === direction ? this.#cutAfter : undefined;
    const part = chunk.subarray(0, cutAfter?.bytes);
    this.#bytes[direction] += part.length;
    if (part.length > 0) await written(to, part);
    if (cutAfter === undefined) return;
    cutAfter.bytes -= part.length;
    if (cutAfter.bytes > 0) return;
    this.#cutAfter = undefined;
    this.#cutLinks('reset');
  }
}

/**
 * Spoils a link again and again until `signal` is aborted, then restores it: resets, ends and
 * black holes of up to `downMsMax`, good times of up to `upMsMax`, in an order drawn from `random`.
 */
export async function flap(
  proxy: TcpProxy,
  random: Random,
  limits: { upMsMax: number; downMsMax: number },
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(random.float() * limits.upMsMax, signal);
    const kind = random.float();
    if (kind < 0.33) proxy.blackhole();
    else await proxy.cut(kind < 0.66 ? 'reset' : 'finish');
    await clock.sleep(random.float() * limits.downMsMax, signal);
    await proxy.restore();
  }
}

/** Resolves when the kernel has the bytes or the socket is gone. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    socket.write(bytes, () => resolve());
  });
}

function ignore(): void {}

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  /** Monotonic, as of performance.now(). */
  openedMs: number;
  exchanges: number;
}

/** What a server knows of its connections: their age, and which are in the middle of an exchange. */
export class Connections {
  /** Older ones end with their next answer. */
  ageMaxMs: number;
  /** Below TLS, so that those which never finish their handshake are known as well. */
  readonly #accepted = new Set<Socket>();
  /** The sockets that requests come from: above TLS, where there is TLS. */
  readonly #established = new Map<Socket, Connection>();
  readonly #responses = new Set<ServerResponse>();
  #closing = false;

  constructor(ageMaxMs: number) {
    this.ageMaxMs = ageMaxMs;
  }

  accepted(socket: Socket): void {
    this.#accepted.add(socket);
    socket.once('close', () => this.#accepted.delete(socket));
  }

  established(socket: Socket): void {
    this.#established.set(socket, { openedMs: performance.now(), exchanges: 0 });
    socket.once('close', () => this.#established.delete(socket));
    if (this.#closing) socket.destroy();
  }

  /** To be called before the handler: an answer that ends its connection has to say so. */
  beginExchange(socket: Socket, response: ServerResponse): void {
    const connection = this.#established.get(socket);
    if (connection === undefined) return;
    const tooOld = performance.now() - connection.openedMs > this.ageMaxMs;
    if (this.#closing || tooOld) response.setHeader('Connection', 'close');
    connection.exchanges++;
    this.#responses.add(response);
    response.once('close', () => {
      connection.exchanges--;
      this.#responses.delete(response);
      if (this.#closing && connection.exchanges === 0) socket.end();
    });
  }

  /** From now on connections end with the exchange they are in; those in none end at once. */
  endIdle(): void {
    this.#closing = true;
    for (const response of this.#responses) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    for (const [socket, connection] of this.#established) {
      if (connection.exchanges === 0) socket.destroy();
    }
  }

  /** Cuts everything, exchanges included. */
  destroy(): void {
    for (const socket of this.#accepted) socket.destroy();
  }
}

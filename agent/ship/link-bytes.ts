import type { Socket } from 'node:net';

/** Counts what really crosses the link: bytes of the TCP connections, headers and TLS included. */
export class LinkBytes {
  readonly #open = new Set<Socket>();
  #closedUp = 0;
  #closedDown = 0;

  /** Bytes sent towards the hub. */
  get up(): number {
    let bytes = this.#closedUp;
    for (const socket of this.#open) bytes += socket.bytesWritten;
    return bytes;
  }

  /** Bytes received from the hub. */
  get down(): number {
    let bytes = this.#closedDown;
    for (const socket of this.#open) bytes += socket.bytesRead;
    return bytes;
  }

  /**
   * A TCP connection from its first packet on. A TLS socket counts what it carries, without records
   * and handshakes: so it is the connection below it that counts.
   */
  count(socket: Socket): void {
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#closedUp += socket.bytesWritten;
      this.#closedDown += socket.bytesRead;
    });
  }
}

import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

/** Counts what really crosses the link: bytes of the sockets, headers and TLS included. */
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

  /** An undici connector whose sockets are counted. */
  connector(options: buildConnector.BuildOptions): buildConnector.connector {
    const connect = buildConnector(options);
    return (target, callback) =>
      connect(target, (error, socket) => {
        if (error !== null) {
          callback(error, null);
          return;
        }
        this.#count(socket);
        callback(null, socket);
      });
  }

  #count(socket: Socket): void {
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#closedUp += socket.bytesWritten;
      this.#closedDown += socket.bytesRead;
    });
  }
}

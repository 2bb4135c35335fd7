import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

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
   * An undici connector whose sockets are counted. A TLS socket counts what it carries, without
   * records and handshakes: so the TCP connection below it is made first, and counted.
   */
  connector(options: buildConnector.BuildOptions): buildConnector.connector {
    const connectTcp = buildConnector({});
    const connectTls = buildConnector(options);
    return (target, callback) => {
      const isTls = target.protocol === 'https:';
      const port = target.port === '' && isTls ? '443' : target.port;
      const { servername: _name, ...tcp } = target;
      connectTcp({ ...tcp, port, protocol: 'http:' }, (error, socket) => {
        if (error !== null) {
          callback(error, null);
          return;
        }
        this.#count(socket);
        if (isTls) connectTls({ ...target, httpSocket: socket }, callback);
        else callback(null, socket);
      });
    };
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

import type { Socket } from 'node:net';
import { type Family, PacketEstimate } from './packet-estimate.ts';

/** Of one process, towards the hub and from it. */
export interface BothWays {
  readonly up: number;
  readonly down: number;
}

/**
 * Counts what crosses the link: bytes of the TCP connections, HTTP and TLS included, and an estimate
 * of the packets that carry them.
 */
export class LinkBytes implements BothWays {
  /**
   * Estimate of the IP bytes, headers, handshakes and acknowledgements included, times what the
   * configuration says (`link.overhead`). Whole numbers.
   */
  readonly ip: BothWays;
  readonly #elapsedMs: () => number;
  readonly #open = new Map<Socket, PacketEstimate>();
  readonly #closed = { up: 0, down: 0 };
  readonly #closedIp = { up: 0, down: 0 };

  /**
   * @param overhead what the estimate is multiplied by
   * @param elapsedMs a clock that never jumps
   */
  constructor(overhead: number, elapsedMs = () => performance.now()) {
    this.#elapsedMs = elapsedMs;
    const ipBytes = (way: keyof BothWays): number => Math.round(overhead * this.#ipBytes(way));
    this.ip = {
      get up() {
        return ipBytes('up');
      },
      get down() {
        return ipBytes('down');
      },
    };
  }

  /** Bytes sent towards the hub. */
  get up(): number {
    let bytes = this.#closed.up;
    for (const socket of this.#open.keys()) bytes += socket.bytesWritten;
    return bytes;
  }

  /** Bytes received from the hub. */
  get down(): number {
    let bytes = this.#closed.down;
    for (const socket of this.#open.keys()) bytes += socket.bytesRead;
    return bytes;
  }

  /**
   * A TCP connection from its first packet on. A TLS socket counts what it carries, without records
   * and handshakes: so it is the connection below it that counts.
   */
  count(socket: Socket): void {
    const estimate = new PacketEstimate();
    this.#open.set(socket, estimate);
    socket.once('connect', () => {
      estimate.opened(familyOf(socket.remoteFamily), this.#elapsedMs());
    });
    // One that nobody answers counts nothing: while a link is down nothing crosses it.
    socket.on('connectionAttemptFailed', (_address, _port, family, error) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ECONNREFUSED') estimate.refused(familyOf(`IPv${family}`));
    });
    socket.once('close', () => {
      this.#look(socket, estimate);
      estimate.closed();
      this.#open.delete(socket);
      this.#closed.up += socket.bytesWritten;
      this.#closed.down += socket.bytesRead;
      this.#closedIp.up += estimate.up;
      this.#closedIp.down += estimate.down;
    });
  }

  /** To be called between parts of what is sent, and when an answer is there: see PacketEstimate. */
  look(): void {
    for (const [socket, estimate] of this.#open) this.#look(socket, estimate);
  }

  #look(socket: Socket, estimate: PacketEstimate): void {
    estimate.look(socket.bytesWritten, socket.bytesRead, this.#elapsedMs());
  }

  #ipBytes(way: keyof BothWays): number {
    this.look();
    let bytes = this.#closedIp[way];
    for (const estimate of this.#open.values()) bytes += estimate[way];
    return bytes;
  }
}

function familyOf(name: string | undefined): Family {
  return name === 'IPv6' ? 'IPv6' : 'IPv4';
}

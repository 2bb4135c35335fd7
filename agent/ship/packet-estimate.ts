/** Of most links, and of tunnels nearly. */
const PACKET_BYTES_MAX = 1500;
/** Headers of IPv4 or IPv6, and of TCP with the timestamps that all systems of today send. */
const HEADER_BYTES = { IPv4: 20 + 32, IPv6: 40 + 32 };
/** Of a packet that opens a connection: it has all options of TCP. */
const OPENING_BYTES = { IPv4: 20 + 40, IPv6: 40 + 40 };
/** Of a packet that refuses one: it has none. */
const REFUSAL_BYTES = { IPv4: 20 + 20, IPv6: 40 + 20 };
/** A receiver acknowledges every other packet (RFC 9293, 3.8.6.3), and the last. */
const PACKETS_PER_ACKNOWLEDGEMENT = 2;
/** Of the system, on idle connections of ours; see base/connector.ts. */
const PROBE_EVERY_MS = 60_000;

export type Family = keyof typeof HEADER_BYTES;

/** Of a request and its answer: a packet each, and an acknowledgement each. */
export const EXCHANGE_HEADER_BYTES = 4 * HEADER_BYTES.IPv4;

/**
 * What a TCP connection costs on a link that loses nothing, in IP bytes, estimated from what its
 * socket has carried. What the socket has carried between two looks counts as sent at once, so
 * looks belong between the parts of an exchange.
 */
export class PacketEstimate {
  /** IP bytes that this end has sent, and received. */
  up = 0;
  down = 0;
  #family: Family = 'IPv4';
  #written = 0;
  #read = 0;
  /** Undefined: the connection does not stand. */
  #movedAtMs: number | undefined;
  #probes = 0;

  /** @param nowMs on a clock that never jumps */
  opened(family: Family, nowMs: number): void {
    this.#family = family;
    this.#movedAtMs = nowMs;
    this.up += OPENING_BYTES[family] + HEADER_BYTES[family];
    this.down += OPENING_BYTES[family];
  }

  /** The other end does not take connections. */
  refused(family: Family): void {
    this.up += OPENING_BYTES[family];
    this.down += REFUSAL_BYTES[family];
  }

  /** @param written bytes that the socket has sent so far; `read`: that it has received */
  look(written: number, read: number, nowMs: number): void {
    if (this.#movedAtMs === undefined) return;
    this.#probed(nowMs - this.#movedAtMs);
    if (written === this.#written && read === this.#read) return;
    const sent = this.#packets(written - this.#written);
    const received = this.#packets(read - this.#read);
    this.up += written - this.#written + this.#headers(sent + acknowledgements(received));
    this.down += read - this.#read + this.#headers(received + acknowledgements(sent));
    this.#written = written;
    this.#read = read;
    this.#movedAtMs = nowMs;
    this.#probes = 0;
  }

  /** After an orderly end; one that breaks off costs less, or nothing. */
  closed(): void {
    if (this.#movedAtMs === undefined) return;
    this.up += this.#headers(2);
    this.down += this.#headers(1);
  }

  /** Whoever is idle is asked whether it is there. */
  #probed(idleMs: number): void {
    const probes = Math.floor(idleMs / PROBE_EVERY_MS);
    if (probes <= this.#probes) return;
    this.up += this.#headers(probes - this.#probes);
    this.down += this.#headers(probes - this.#probes);
    this.#probes = probes;
  }

  #packets(bytes: number): number {
    return Math.ceil(bytes / (PACKET_BYTES_MAX - HEADER_BYTES[this.#family]));
  }

  #headers(packets: number): number {
    return packets * HEADER_BYTES[this.#family];
  }
}

function acknowledgements(packets: number): number {
  return Math.ceil(packets / PACKETS_PER_ACKNOWLEDGEMENT);
}

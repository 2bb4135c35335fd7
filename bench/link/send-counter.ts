import { connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../base/clock.ts';
import { decodeBatch } from '../../proto/batch.ts';
import { decompressFrame } from '../../proto/zstd.ts';

const BATCH_BYTES_MAX = 64 << 20;
const HEAD_END = Buffer.from('\r\n\r\n');

export interface SendCounts {
  /** Batches and packs that arrived whole. */
  whole: number;
  /** Bodies of which only a part arrived. */
  cutOff: number;
  /** How often the segment that was sent most was sent, parts of it included. */
  sendsMax: number;
}

/**
 * Stands before the hub, at its end of the link, and notes how often each stored segment is sent.
 * Of a body that was cut off nobody can tell what it held: it counts for all segments of the next
 * whole batch, since an agent sends in order what it has to send again.
 */
export class SendCounter {
  /** By the sequence of the segment: one agent that runs once, with one tenant, has sent it. */
  readonly #sends = new Map<number, number>();
  #fromMs = Number.NEGATIVE_INFINITY;
  #whole = 0;
  #cutOff = 0;
  #cutOffSinceWhole = 0;

  listen(port: number, hubPort: number): Promise<void> {
    // What one end has said for good, the other may still answer.
    const server = createServer({ allowHalfOpen: true }, (agent) => this.#relay(agent, hubPort));
    return new Promise((resolve) => server.listen(port, '0.0.0.0', resolve));
  }

  /** Bodies that begin before this moment are not counted: a cut is no slow link. */
  countFrom(ms: number): void {
    this.#fromMs = ms;
  }

  counts(): SendCounts {
    const sendsMax = [...this.#sends.values()].reduce((max, sends) => Math.max(max, sends), 0);
    return { whole: this.#whole, cutOff: this.#cutOff, sendsMax };
  }

  #relay(agent: Socket, hubPort: number): void {
    const hub = connect({ port: hubPort, host: '127.0.0.1', allowHalfOpen: true });
    const requests = new RequestReader({
      whole: (body, beganMs) => this.#arrivedWhole(body, beganMs),
      cutOff: (beganMs) => this.#wasCutOff(beganMs),
    });
    agent.on('data', (chunk: Buffer) => requests.read(chunk));
    agent.once('close', () => requests.end());
    for (const [socket, other] of [
      [agent, hub],
      [hub, agent],
    ] as const) {
      socket.setNoDelay(true);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  }

  #arrivedWhole(body: Buffer, beganMs: number): void {
    const batch = decodeBatch(decompressFrame(body, BATCH_BYTES_MAX));
    if (beganMs < this.#fromMs || (batch.lane !== 'live' && batch.lane !== 'pack')) return;
    this.#whole++;
    const sends = 1 + this.#cutOffSinceWhole;
    this.#cutOffSinceWhole = 0;
    for (const { first, last } of batch.positions) {
      for (let segment = first; segment <= last; segment++) {
        this.#sends.set(segment, (this.#sends.get(segment) ?? 0) + sends);
      }
    }
  }

  #wasCutOff(beganMs: number): void {
    if (beganMs < this.#fromMs) return;
    this.#cutOff++;
    this.#cutOffSinceWhole++;
  }
}

interface RequestSink {
  /** @param beganMs when the first byte of the body arrived */
  whole(body: Buffer, beganMs: number): void;
  cutOff(beganMs: number): void;
}

/** The bodies of POST requests in what an agent says on one connection. */
export class RequestReader {
  readonly #sink: RequestSink;
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  /** Bytes of the request under way, or of as much of it as has to be there to know. */
  #wantedBytes = 0;
  #bodyBytes = 0;
  #beganMs = 0;

  constructor(sink: RequestSink) {
    this.#sink = sink;
  }

  read(chunk: Buffer): void {
    this.#unread.push(chunk);
    this.#unreadBytes += chunk.length;
    while (this.#unreadBytes >= Math.max(this.#wantedBytes, 1) && this.#take());
  }

  /** The connection is at its end. */
  end(): void {
    if (this.#bodyBytes > 0) this.#sink.cutOff(this.#beganMs);
    this.#bodyBytes = 0;
  }

  /** @returns whether a step was made */
  #take(): boolean {
    const bytes = Buffer.concat(this.#unread);
    this.#unread = [bytes];
    if (this.#wantedBytes > 0) {
      if (this.#bodyBytes > 0) this.#sink.whole(bytes.subarray(0, this.#bodyBytes), this.#beganMs);
      this.#keep(bytes.subarray(this.#wantedBytes));
      this.#wantedBytes = 0;
      this.#bodyBytes = 0;
      return true;
    }
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return false;
    const head = bytes.toString('latin1', 0, headEnd);
    this.#bodyBytes = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
    this.#wantedBytes = this.#bodyBytes;
    this.#beganMs = systemClock.now();
    this.#keep(bytes.subarray(headEnd + HEAD_END.length));
    return true;
  }

  #keep(bytes: Buffer): void {
    this.#unread = [bytes];
    this.#unreadBytes = bytes.length;
  }
}

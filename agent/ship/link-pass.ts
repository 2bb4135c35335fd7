import type { Traffic } from './link-turns.ts';

/** Counts the time of the other end, see PeerLimit. */
export interface Counting {
  start(): void;
  stop(): void;
}

/** What a pass asks of the pacer that gave it. */
export interface PassIssuer {
  /** Resolves when the pass has got its next part, or the signal was aborted. */
  letPartGo(pass: LinkPass, signal: AbortSignal): Promise<void>;
  ended(pass: LinkPass): void;
}

/** Permission to send one body, part by part. */
export class LinkPass {
  readonly traffic: Traffic;
  /** In which bodies came. */
  readonly order: number;
  /** Length of the part that may go, until it is with the socket and counted there. */
  partBytes = 0;
  readonly #body: Uint8Array;
  readonly #issuer: PassIssuer;
  readonly #ending = new AbortController();
  #sentBytes = 0;

  constructor(body: Uint8Array, traffic: Traffic, order: number, issuer: PassIssuer) {
    this.#body = body;
    this.traffic = traffic;
    this.order = order;
    this.#issuer = issuer;
  }

  get bytesLeft(): number {
    return this.#body.length - this.#sentBytes;
  }

  /**
   * The body as it may go; it ends early when the pass is ended. `limit` is told to count only
   * while the other end has something to do: take a part, or answer the last one.
   */
  async *parts(limit: Counting): AsyncGenerator<Uint8Array> {
    while (this.bytesLeft > 0) {
      if (this.partBytes === 0) {
        limit.stop();
        await this.#issuer.letPartGo(this, this.#ending.signal);
      }
      if (this.#ending.signal.aborted) return;
      limit.start();
      yield this.#body.subarray(this.#sentBytes, this.#sentBytes + this.partBytes);
      this.#sentBytes += this.partBytes;
      this.partBytes = 0;
    }
  }

  /** The request is over, whatever became of it. */
  end(): void {
    this.#ending.abort();
    this.partBytes = 0;
    this.#issuer.ended(this);
  }
}

/** Ends a request when the other end takes too long; it can stand still while it is not its turn. */
export class PeerLimit {
  readonly #limitMs: number;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Aborted when the limit is reached. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Counts from now on, from the beginning. */
  start(): void {
    clearTimeout(this.#timer);
    if (this.#isEnded) return;
    const over = new Error(`the hub did nothing for ${this.#limitMs} ms`);
    this.#timer = setTimeout(() => this.#over.abort(over), this.#limitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Never counts again. */
  end(): void {
    this.#isEnded = true;
    this.stop();
  }
}

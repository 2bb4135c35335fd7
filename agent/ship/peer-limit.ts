/** Nothing has moved for too long. */
export class SilenceError extends Error {}

/** The exchange was found to be over elsewhere. */
export class OverError extends Error {}

/** What a limit looks at, and whom it asks. */
export interface PeerWatch {
  /** Grows or shrinks whenever bytes of the exchange cross the link. */
  movement(): string;
  /** Bytes have moved since the last look. */
  moved(): void;
  /** When to become suspicious, in ms since anything moved. */
  patienceMs(): number;
  /**
   * Nothing has moved for so long: asks elsewhere. `over`: ends the exchange unless it has moved
   * meanwhile. `wait`: the other end has it. `unheard`: nobody can be asked now.
   */
  suspect(): Promise<'over' | 'wait' | 'unheard'>;
}

/** How often to look whether something moves. */
const LOOK_EVERY_MS = 1000;
/** Between two questions while nobody answers; they have a time limit of their own. */
const UNHEARD_MS = { min: 100, max: 600 };

/**
 * Ends an exchange when nothing moves for too long; it can stand still while it is not its turn.
 */
export class PeerLimit {
  readonly #limitMs: number;
  readonly #watch: PeerWatch | undefined;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;
  #movement: string | undefined;
  #movedAtMs = 0;
  /** When to ask, on the same clock. */
  #suspectAtMs = 0;
  #isAsking = false;
  #questions = 0;

  constructor(limitMs: number, watch?: PeerWatch) {
    this.#limitMs = limitMs;
    this.#watch = watch;
  }

  /** Aborted when the limit is reached, or the exchange found to be over. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Counts from now on, from the beginning. */
  start(): void {
    clearTimeout(this.#timer);
    if (this.#isEnded) return;
    this.#movement = this.#watch?.movement();
    this.#moves(performance.now());
    this.#lookLater();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Never counts again. */
  end(): void {
    this.#isEnded = true;
    this.stop();
  }

  #moves(nowMs: number): void {
    this.#movedAtMs = nowMs;
    this.#suspectAtMs = nowMs + (this.#watch?.patienceMs() ?? Number.POSITIVE_INFINITY);
  }

  #lookLater(): void {
    const nowMs = performance.now();
    const next = this.#isAsking ? Number.POSITIVE_INFINITY : this.#suspectAtMs;
    const dueMs = Math.min(this.#movedAtMs + this.#limitMs, next) - nowMs;
    const everyMs = this.#watch === undefined ? this.#limitMs : LOOK_EVERY_MS;
    this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.min(dueMs, everyMs)));
  }

  #look(): void {
    const nowMs = performance.now();
    const movement = this.#watch?.movement();
    if (movement !== this.#movement) {
      this.#movement = movement;
      this.#moves(nowMs);
      this.#watch?.moved();
    }
    if (nowMs - this.#movedAtMs >= this.#limitMs) {
      this.#over.abort(new SilenceError(`the hub did nothing for ${this.#limitMs} ms`));
      return;
    }
    if (nowMs >= this.#suspectAtMs && !this.#isAsking) void this.#ask();
    this.#lookLater();
  }

  async #ask(): Promise<void> {
    const { movement, patienceMs, suspect } = this.#watch!;
    const movedAtMs = this.#movedAtMs;
    this.#isAsking = true;
    const found = await suspect();
    this.#isAsking = false;
    if (this.#isEnded || this.#over.signal.aborted) return;
    const isStill = this.#movedAtMs === movedAtMs && movement() === this.#movement;
    if (found === 'over' && isStill) {
      this.#over.abort(new OverError('nothing moves, and the hub answers elsewhere'));
      return;
    }
    const spread = UNHEARD_MS.min + Math.random() * (UNHEARD_MS.max - UNHEARD_MS.min);
    const waitMs = found === 'unheard' ? spread : patienceMs() * 2 ** ++this.#questions;
    this.#suspectAtMs = performance.now() + waitMs;
  }
}

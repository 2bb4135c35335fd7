/** Of a request and its answer, until the first is measured: HTTP heads, packet headers, the answer. */
const EXCHANGE_BYTES_FIRST = 450;
/** Of a frame, what is neither samples nor dictionary: stream, positions, checksum and the like. */
const FRAME_BYTES = 50;

export interface DelayLimits {
  /** Absent: a batch is due this long after the one before. */
  minDelayMs?: number | undefined;
  /** Otherwise samples wait at most this long for others. */
  maxDelayMs: number;
}

/** A batch, as far as its samples go. */
export interface SentSamples {
  samples: number;
  /** What they took on the link, and nothing else. */
  sampleBytes: number;
}

/**
 * How long samples of one tenant wait for company. With one limit, always so long. With two, at
 * least the lower one, and beyond it only while they are fewer bytes than what a batch costs beside
 * them: HTTP heads, the answer, headers of packets and of the frame. All times are of a clock that
 * never jumps.
 */
export class BatchDelay {
  readonly #limits: DelayLimits;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** Since when something waits that is not under way; undefined: nothing does. */
  #waitingSinceMs: number | undefined;
  #last: SentSamples | undefined;
  #exchangeBytes = EXCHANGE_BYTES_FIRST;

  constructor(limits: DelayLimits) {
    this.#limits = limits;
  }

  /** How long to sleep while nothing waits, in ms. */
  get idleMs(): number {
    return this.#limits.minDelayMs ?? this.#limits.maxDelayMs;
  }

  /** Samples may have been stored. */
  stored(nowMs: number): void {
    this.#waitingSinceMs ??= nowMs;
  }

  sent(nowMs: number, last: SentSamples): void {
    this.#sentAtMs = nowMs;
    this.#waitingSinceMs = undefined;
    this.#last = last;
  }

  /** @param exchangeBytes what request and answer have cost beside the frame; undefined: unknown */
  answered(exchangeBytes: number | undefined): void {
    this.#exchangeBytes = exchangeBytes ?? this.#exchangeBytes;
  }

  /**
   * When to look again, in ms; 0: a batch is due.
   *
   * @param waiting samples, with none under way
   */
  dueInMs(nowMs: number, waiting: number): number {
    const { minDelayMs, maxDelayMs } = this.#limits;
    if (waiting === 0) {
      this.#waitingSinceMs = undefined;
      return this.idleMs;
    }
    const sinceSentMs = nowMs - this.#sentAtMs;
    // Whole ones: a wait of next to nothing might not be seen to pass.
    const leftOf = (ms: number): number => Math.max(0, Math.ceil(ms));
    if (minDelayMs === undefined) return leftOf(maxDelayMs - sinceSentMs);
    this.stored(nowMs);
    if (sinceSentMs < minDelayMs) return leftOf(minDelayMs - sinceSentMs);
    if (this.#isWorthSending(waiting)) return 0;
    return Math.min(minDelayMs, leftOf(maxDelayMs - (nowMs - this.#waitingSinceMs!)));
  }

  /** Whether samples are at least what goes with them. */
  #isWorthSending(waiting: number): boolean {
    if (this.#last === undefined) return true;
    const { samples, sampleBytes } = this.#last;
    return (waiting * sampleBytes) / samples >= FRAME_BYTES + this.#exchangeBytes;
  }
}

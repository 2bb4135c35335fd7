import { NeverConnectedError } from '../../base/connector.ts';
import type { Log } from '../../base/log.ts';
import { formatDuration } from '../../base/units.ts';
import { SilenceError } from './peer-limit.ts';

/** A link that stalls for less is no reason to go to another hub. */
const SILENCE_MIN_MS = 10_000;
/** Shorter outages are not worth a line. */
const OUTAGE_MIN_MS = 5000;
const SECOND_MS = 1000;

/** A request, as far as its failure says something of the hub. */
export interface FailedRequest {
  /** On the clock of `performance.now()`. */
  beganAtMs: number;
  /** Whether its connection was there before. */
  isReused: boolean;
}

/** Which of the hubs requests go to, and since when none has answered. */
export class HubUrls {
  /** Of the URL that requests go to. */
  index = 0;
  readonly #urls: readonly string[];
  readonly #log: Log;
  /** On the clock of `performance.now()`, as the others here. */
  #heardAtMs = Number.NEGATIVE_INFINITY;
  /** When the first request failed that no answer has followed. */
  #outageBeganAtMs: number | undefined;
  /** The same, of the present URL. */
  #silentSinceMs: number | undefined;

  constructor(urls: readonly string[], log: Log) {
    this.#urls = urls;
    this.#log = log;
  }

  get current(): string {
    return this.#urls[this.index]!;
  }

  /** Something was answered. */
  reached(): void {
    const nowMs = performance.now();
    const outageMs = nowMs - (this.#outageBeganAtMs ?? nowMs);
    this.#heardAtMs = nowMs;
    this.#outageBeganAtMs = undefined;
    this.#silentSinceMs = undefined;
    if (outageMs < OUTAGE_MIN_MS) return;
    const after = formatDuration(Math.round(outageMs / SECOND_MS) * SECOND_MS);
    this.#log.info(
      { hub: this.current, outageMs: Math.round(outageMs) },
      `the hub is reached again after ${after}`,
    );
  }

  /**
   * A request to the URL `index` was not answered. Requests that fail together step once to the
   * next URL: two steps could lead back to the dead hub. A hub that has answered others since
   * the request began is not dead.
   */
  failed(index: number, { beganAtMs, isReused }: FailedRequest, error: unknown): void {
    if (index !== this.index || this.#heardAtMs > beganAtMs) return;
    const nowMs = performance.now();
    this.#outageBeganAtMs ??= Math.min(beganAtMs, nowMs);
    this.#silentSinceMs ??= beganAtMs;
    const isSilence = error instanceof SilenceError || isConnectTimeout(error);
    const isLongSilence = nowMs - this.#silentSinceMs >= SILENCE_MIN_MS;
    // What was open may have been closed for its age; a new connection will tell.
    if (isSilence ? !isLongSilence : isReused) return;
    this.index = (index + 1) % this.#urls.length;
    this.#silentSinceMs = undefined;
  }
}

function isConnectTimeout(error: unknown): boolean {
  return error instanceof NeverConnectedError && error.code === 'ETIMEDOUT';
}

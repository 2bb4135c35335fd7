import { systemClock } from '../base/clock.ts';
import { WriteRequestEncoder } from '../proto/remote-write/encoder-1.ts';
import { labelBytes } from '../test/hub/series-fixture.ts';
import { push } from './push.ts';
import type { SeriesDigests } from './series-digests.ts';

const EVERY_MS = 500;
const LABELS = labelBytes({ __name__: 'live_probe', instance: 'bench', job: 'bench' });

/** Samples that are fresh, and how long after their acknowledgement they reach the destination. */
export class LiveProbe {
  readonly #delaysMs: number[] = [];
  /** When the sample with a timestamp was acknowledged. */
  readonly #waiting = new Map<number, number>();
  readonly #ending = new AbortController();
  #series = -1;
  #running: Promise<void> | undefined;

  /** Sends one sample every half second until `stop`. */
  run(agentUrl: string, sent: SeriesDigests): void {
    this.#series = sent.series(LABELS, 0, LABELS.length);
    this.#running = this.#send(agentUrl, sent);
  }

  /** Resolves when the last sample has been sent. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  arrived(series: number, timestamp: number): void {
    const acknowledgedAtMs = series === this.#series ? this.#waiting.get(timestamp) : undefined;
    if (acknowledgedAtMs === undefined) return;
    this.#waiting.delete(timestamp);
    this.#delaysMs.push(systemClock.now() - acknowledgedAtMs);
  }

  /** A line for people: how many, and how long they took. */
  report(): string {
    const sorted = this.#delaysMs.toSorted((one, other) => one - other);
    const at = (share: number) =>
      ((sorted[Math.floor(sorted.length * share)] ?? 0) / 1000).toFixed(2);
    const worst = ((sorted.at(-1) ?? 0) / 1000).toFixed(2);
    const late = this.#waiting.size > 0 ? `, ${this.#waiting.size} have not arrived` : '';
    return (
      `  ${sorted.length} live samples, from acknowledgement to the destination: ` +
      `half within ${at(0.5)} s, all within ${worst} s${late}`
    );
  }

  async #send(agentUrl: string, sent: SeriesDigests): Promise<void> {
    const encoder = new WriteRequestEncoder();
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const timestamp = systemClock.now();
      encoder.series(LABELS, 0, LABELS.length);
      encoder.sample(timestamp, timestamp % 2 ** 32, 0x40000000);
      // Before it is acknowledged it may already have arrived.
      this.#waiting.set(timestamp, timestamp);
      await push(agentUrl, encoder.finish());
      if (this.#waiting.has(timestamp)) this.#waiting.set(timestamp, systemClock.now());
      sent.add(this.#series, timestamp, timestamp % 2 ** 32, 0x40000000);
      await systemClock.sleep(EVERY_MS, signal);
    }
  }
}

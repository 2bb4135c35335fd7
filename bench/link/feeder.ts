import { systemClock } from '../../base/clock.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import type { Load, Push } from './load.ts';

/** What asks a sender to try again tells nothing of the link. */
const RETRY_MS = 500;

export interface FeedReport {
  /** Requests that were not accepted at first. */
  retries: number;
  /** How much later than due a request was accepted, in seconds: a starved machine shows here. */
  lateMax: number;
}

/** Hands the load to a sender as the scrapes of a Prometheus would: each at its time, in order. */
export class Feeder {
  readonly #load: Load;
  readonly #encoder = new WriteRequestEncoder();
  readonly #labels = new Map<number, Uint8Array>();

  constructor(load: Load) {
    this.#load = load;
  }

  /**
   * Resolves when everything is accepted.
   *
   * @param url where the sender takes remote write 1.0
   * @param startMs when the capture begins, in ms since the Unix epoch
   */
  async feed(url: string, startMs: number): Promise<FeedReport> {
    const report = { retries: 0, lateMax: 0 };
    for (const push of this.#load.pushes()) {
      const dueMs = startMs + push.atMs;
      await systemClock.sleep(Math.max(0, dueMs - systemClock.now()));
      const body = this.#encode(push, startMs);
      while (!(await isAccepted(url, body))) {
        report.retries++;
        await systemClock.sleep(RETRY_MS);
      }
      report.lateMax = Math.max(report.lateMax, (systemClock.now() - dueMs) / 1000);
    }
    return report;
  }

  #encode({ atMs, copy, from, to }: Push, startMs: number): Uint8Array {
    const { ids, valueBits } = this.#load.samples.columns;
    for (let at = from; at < to; at++) {
      const row = this.#load.rowsByTime[at]!;
      const labels = this.#labelsOf(copy, ids[row]!);
      if (labels === undefined) continue;
      this.#encoder.series(labels, 0, labels.length);
      this.#encoder.sample(startMs + atMs, valueBits[row * 2]!, valueBits[row * 2 + 1]!);
    }
    return this.#encoder.finish();
  }

  #labelsOf(copy: number, captured: number): Uint8Array | undefined {
    const series = this.#load.series(copy, captured);
    if (series < 0) return undefined;
    let labels = this.#labels.get(series);
    if (labels === undefined) {
      labels = this.#load.labels(copy, captured);
      this.#labels.set(series, labels);
    }
    return labels;
  }
}

async function isAccepted(url: string, body: Uint8Array): Promise<boolean> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        'x-prometheus-remote-write-version': '0.1.0',
      },
      body: new Uint8Array(body),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

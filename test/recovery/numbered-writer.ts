import snappyjs from 'snappyjs';
import { assert } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { label, sample, writeRequest } from '../proto/wire-fixture.ts';
import type { SampleBits, SamplesBySeries } from '../tools/compare.ts';
import { labelNotation } from '../tools/exact-remote-write.ts';

const seriesCount = 12;
const samplesPerRequest = 4;
const firstTimestampMs = Date.UTC(2026, 0, 1);
const retryMs = 50;
const answerMsMax = 10_000;
/** Between two requests of `run`: enough of them, and time for others on a shared machine. */
const pauseMs = 20;

/**
 * A sender as Prometheus is one: a request is repeated until it is answered 2xx, and only then
 * comes the next. Every sample has a value of its own, which names its series and its number, so
 * that one under a wrong label or in a wrong place is recognised.
 */
export class NumberedWriter {
  readonly #url: string;
  readonly #name: string;
  readonly #serial: number;
  /** Samples acknowledged of each series. */
  #acknowledged = 0;
  #next = Promise.withResolvers<void>();

  /** @param serial below 2^16, different for each writer of a test: part of every value */
  constructor(url: string, name: string, serial: number) {
    this.#url = url;
    this.#name = name;
    this.#serial = serial;
  }

  /** Samples acknowledged over all series. */
  get acknowledged(): number {
    return this.#acknowledged * seriesCount;
  }

  /** Resolves as soon as the next request is answered 2xx. */
  nextAcknowledgement(): Promise<void> {
    return this.#next.promise;
  }

  /** Everything that was answered 2xx, as it has to be at the destination. */
  expected(): SamplesBySeries {
    const samples: SamplesBySeries = new Map();
    for (let series = 0; series < seriesCount; series++) {
      const labels = this.#labels(series).map(([name, value]) => ({ name, value }));
      samples.set(labelNotation(labels), this.#samples(series, 0, this.#acknowledged));
    }
    return samples;
  }

  /** Writes one request after the other until `signal` is aborted; the last one is finished. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.write(1);
      await systemClock.sleep(pauseMs, signal);
    }
  }

  /** Writes so many requests; resolves when all are answered 2xx. */
  async write(requests: number): Promise<void> {
    for (let request = 0; request < requests; request++) {
      const body = this.#body();
      while (!(await this.#isStored(body))) await systemClock.sleep(retryMs);
      this.#acknowledged += samplesPerRequest;
      this.#next.resolve();
      this.#next = Promise.withResolvers();
    }
  }

  #body(): Uint8Array {
    const from = this.#acknowledged;
    const series = Array.from({ length: seriesCount }, (_, index) => [
      ...this.#labels(index).flatMap(([name, value]) => label(name, value)),
      ...this.#samples(index, from, from + samplesPerRequest).flatMap(({ timestamp, bits }) =>
        sample(timestamp, bits),
      ),
    ]);
    return snappyjs.compress(writeRequest(...series));
  }

  /** False when the agent is not there or asks to come again; anything else is no answer to get. */
  async #isStored(body: Uint8Array): Promise<boolean> {
    let response: Response;
    try {
      response = await fetch(this.#url, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' },
        signal: AbortSignal.timeout(answerMsMax),
      });
      await response.body?.cancel();
    } catch {
      return false;
    }
    assert(response.ok || response.status === 503, `the agent answered ${response.status}`);
    return response.ok;
  }

  #labels(series: number): [string, string][] {
    return [
      ['__name__', 'numbered_total'],
      ['series', String(series)],
      ['writer', this.#name],
    ];
  }

  #samples(series: number, from: number, to: number): SampleBits[] {
    return Array.from({ length: to - from }, (_, index) => {
      const number = from + index;
      const value = (this.#serial * seriesCount + series) * 2 ** 32 + number;
      return { timestamp: firstTimestampMs + number * 1000, bits: bitsOf(value) };
    });
  }
}

const scratch = new DataView(new ArrayBuffer(8));

function bitsOf(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}

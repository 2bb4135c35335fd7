import { assert } from '../../base/assert.ts';
import { nodeMix15s, readCapture } from '../capture.ts';
import { CapturedSamples } from '../captured-samples.ts';
import { type ArrivalReport, Arrivals } from './arrivals.ts';
import { Feeder, type FeedReport } from './feeder.ts';
import { Load, type LoadOptions } from './load.ts';
import { startReceiver } from './receiver.ts';
import { SendCounter, type SendCounts } from './send-counter.ts';

/**
 * What a station does when asked: a process of the benchmark inside a network namespace, where the
 * benchmark itself cannot reach. One feeds a sender at the near end of the link, one receives at
 * the far end.
 */
export interface StationCalls {
  /** Prepares to feed. */
  prepareFeed(load: LoadOptions): void;
  feed(what: { url: string; startMs: number }): Promise<FeedReport>;
  /** Receives on a port of all addresses. */
  receive(what: { load: LoadOptions; port: number }): Promise<void>;
  /** Says when the capture begins, in ms since the Unix epoch. */
  begin(startMs: number): void;
  progress(): { arrived: number; expected: number };
  /** @param returnsMs when the link came back, in ms since the Unix epoch */
  report(returnsMs: number[]): ArrivalReport;
  /** Puts a counter before a hub. */
  countSends(what: { port: number; hubPort: number }): Promise<void>;
  countSendsFrom(ms: number): void;
  sendCounts(): SendCounts;
  /** Answer of a server in the namespace; status 0: none. */
  get(url: string): Promise<{ status: number; text: string }>;
}

/** A call on its way to the station, and back. */
export interface StationRequest {
  id: number;
  call: keyof StationCalls;
  argument: unknown;
}

export type StationAnswer = { id: number; value: unknown } | { id: number; error: string };

const GET_MS_MAX = 5000;

class Station implements StationCalls {
  #feeder: Feeder | undefined;
  #arrivals: Arrivals | undefined;
  readonly #counter = new SendCounter();

  prepareFeed(load: LoadOptions): void {
    this.#feeder = new Feeder(loadOf(load));
  }

  feed({ url, startMs }: { url: string; startMs: number }): Promise<FeedReport> {
    assert(this.#feeder !== undefined, 'fed before it was prepared');
    return this.#feeder.feed(url, startMs);
  }

  async receive({ load, port }: { load: LoadOptions; port: number }): Promise<void> {
    this.#arrivals = new Arrivals(loadOf(load));
    await startReceiver(port, this.#arrivals);
  }

  begin(startMs: number): void {
    this.#receiving().begin(startMs);
  }

  progress(): { arrived: number; expected: number } {
    const { arrived, expected } = this.#receiving();
    return { arrived, expected };
  }

  report(returnsMs: number[]): ArrivalReport {
    return this.#receiving().report(returnsMs);
  }

  countSends({ port, hubPort }: { port: number; hubPort: number }): Promise<void> {
    return this.#counter.listen(port, hubPort);
  }

  countSendsFrom(ms: number): void {
    this.#counter.countFrom(ms);
  }

  sendCounts(): SendCounts {
    return this.#counter.counts();
  }

  async get(url: string): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(GET_MS_MAX) });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      return { status: 0, text: String(error) };
    }
  }

  #receiving(): Arrivals {
    assert(this.#arrivals !== undefined, 'asked before it received');
    return this.#arrivals;
  }
}

function loadOf(options: LoadOptions): Load {
  return new Load(new CapturedSamples(readCapture(nodeMix15s)), options);
}

function main(): void {
  const station = new Station();
  process.on('message', async ({ id, call, argument }: StationRequest) => {
    try {
      const method = station[call] as (this: Station, argument: unknown) => unknown;
      answer({ id, value: await method.call(station, argument) });
    } catch (error) {
      answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : `${error}` });
    }
  });
  // Whoever asks is gone, and with it the reason to be here.
  process.once('disconnect', () => process.exit(0));
}

function answer(answer: StationAnswer): void {
  process.send?.(answer);
}

main();

import { forEachLabel } from '../proto/label-set.ts';
import { WriteRequestWalker } from '../proto/remote-write/walker-1.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../proto/snappy.ts';
import type { CapturedRequest } from './capture.ts';

/** Name, value, name, value; one character per byte, so that any bytes survive. */
export type LabelTexts = readonly string[];

export interface CapturedSeries {
  /** The `labels` fields of a TimeSeries, as they were sent. */
  bytes: Uint8Array;
  texts: LabelTexts;
}

/** Rows [from, to) of a capture: what one body, or one batch, of a format carries. */
export interface Rows {
  from: number;
  to: number;
}

/** The samples of a capture in columns; their ids are indexes into `series`. */
export class CapturedSamples {
  readonly series: CapturedSeries[] = [];
  readonly columns = new SampleColumns(1 << 20);
  /** The rows of each request that holds samples. */
  readonly requests: (Rows & { arrivedAtMs: number })[] = [];
  readonly #ids = new Map<string, number>();

  constructor(requests: readonly CapturedRequest[]) {
    const walker = new WriteRequestWalker();
    let id = 0;
    const sink = {
      series: (bytes: Uint8Array, from: number, to: number) => {
        id = this.#idOf(bytes.subarray(from, to));
      },
      sample: (timestamp: number, bitsLow: number, bitsHigh: number) =>
        this.columns.push(id, timestamp, bitsLow, bitsHigh),
      // None of the formats is charged with these; see docs/benchmarks.md.
      metadata: () => {},
      histogram: () => {},
      exemplar: () => {},
    };
    for (const { arrivedAtMs, body } of requests) {
      const bytes = new Uint8Array(snappyDeclaredBytes(body));
      decodeSnappy(body, bytes);
      const from = this.columns.count;
      walker.walk(bytes, bytes.length, sink);
      const to = this.columns.count;
      if (to > from) this.requests.push({ from, to, arrivedAtMs });
    }
  }

  /** Rows of the requests that arrived within the same `spanMs`, counted from the first one. */
  batches(spanMs: number): Rows[] {
    const startMs = this.requests[0]?.arrivedAtMs ?? 0;
    const spanOf = (arrivedAtMs: number) => Math.floor((arrivedAtMs - startMs) / spanMs);
    const spans = Map.groupBy(this.requests, ({ arrivedAtMs }) => spanOf(arrivedAtMs));
    return Array.from(spans.values(), (requests) => ({
      from: requests[0]!.from,
      to: requests.at(-1)!.to,
    }));
  }

  /** Share of the samples whose value has the same bits as their series' sample before. */
  unchangedShare(): number {
    const { ids, valueBits, count } = this.columns;
    const lastRows = new Int32Array(this.series.length).fill(-1);
    let unchanged = 0;
    for (let row = 0; row < count; row++) {
      const last = lastRows[ids[row]!]!;
      lastRows[ids[row]!] = row;
      if (last < 0 || valueBits[last * 2] !== valueBits[row * 2]) continue;
      if (valueBits[last * 2 + 1] === valueBits[row * 2 + 1]) unchanged++;
    }
    return unchanged / count;
  }

  #idOf(labels: Uint8Array): number {
    const key = latin1(labels);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const bytes = labels.slice();
    this.#ids.set(key, this.series.length);
    this.series.push({ bytes, texts: labelTexts(bytes) });
    return this.series.length - 1;
  }
}

/** The labels in the `labels` fields of a TimeSeries. @throws DecodeError */
export function labelTexts(bytes: Uint8Array): LabelTexts {
  const texts: string[] = [];
  forEachLabel(bytes, (name, value) => texts.push(latin1(name), latin1(value)));
  return texts;
}

/** One character per byte. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

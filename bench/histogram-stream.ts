import type { Random } from '../base/random.ts';
import { ByteWriter } from '../proto/bytes.ts';
import { canonicalLabelSet } from '../proto/label-set.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { seededRandom } from '../test/tools/seeded-random.ts';
import type { Rows } from './captured-samples.ts';

const SCRAPE_EVERY_MS = 15_000;
/** As Prometheus gathers before it sends: batch_send_deadline. */
const REQUEST_EVERY_MS = 5000;
const BEGIN_MS = 1_760_000_000_000;
const SERIES_PER_TARGET = 20;
/** Some series have nothing to observe most of the time, some a hundred events a scrape. */
const EVENTS_MAX = 100;
const IDLE_SHARE = 0.3;
/** Buckets of schema 3 grow by 2^(1/8). */
const SCHEMA = 3;
const BUCKETS_PER_DOUBLING = 2 ** SCHEMA;

/** Rows in the order in which they were scraped; their ids are indexes into `labels`. */
export interface HistogramStream {
  /** Canonical. */
  labels: Uint8Array[];
  columns: SampleColumns;
  /** What one remote-write request carries. */
  requests: (Rows & { arrivedAtMs: number })[];
  histograms: number;
}

/**
 * Native histograms of latencies as an instrumented service exposes them, always the same ones:
 * counts grow, a bucket that was empty appears now and then, and some series stand still.
 *
 * @param exemplarEvery so many histograms bring an exemplar
 */
export function histogramStream(
  series: number,
  scrapes: number,
  exemplarEvery: number,
): HistogramStream {
  const random = seededRandom('native histograms');
  const latencies = Array.from({ length: series }, () => new Latencies(random));
  const columns = new SampleColumns(series * scrapes * 2);
  const requests: HistogramStream['requests'] = [];
  const targets = Math.ceil(series / SERIES_PER_TARGET);
  let histograms = 0;
  for (let slot = 0; slot < (scrapes * SCRAPE_EVERY_MS) / REQUEST_EVERY_MS; slot++) {
    const from = columns.count;
    for (let target = 0; target < targets; target++) {
      const offsetMs = Math.floor((target * SCRAPE_EVERY_MS) / targets);
      const sinceMs = slot * REQUEST_EVERY_MS - offsetMs;
      const scrapedAtMs = Math.ceil(sinceMs / SCRAPE_EVERY_MS) * SCRAPE_EVERY_MS + offsetMs;
      if (scrapedAtMs >= (slot + 1) * REQUEST_EVERY_MS) continue;
      for (let at = 0; at < SERIES_PER_TARGET; at++) {
        const id = target * SERIES_PER_TARGET + at;
        if (id >= series) break;
        const timestamp = BEGIN_MS + scrapedAtMs;
        columns.pushObject('histogram', id, timestamp, latencies[id]!.scrape());
        if (++histograms % exemplarEvery > 0) continue;
        const observedMs = timestamp - Math.floor(random.float() * SCRAPE_EVERY_MS);
        columns.pushObject('exemplar', id, observedMs, exemplar(random));
      }
    }
    const arrivedAtMs = BEGIN_MS + (slot + 1) * REQUEST_EVERY_MS;
    requests.push({ from, to: columns.count, arrivedAtMs });
  }
  const labels = latencies.map((_, id) => labelsOf(id));
  return { labels, columns, requests, histograms };
}

/** The latencies that one series observes: about log-normal, in seconds. */
class Latencies {
  readonly #random: Random;
  readonly #eventsMax: number;
  readonly #middle: number;
  readonly #counts = new Map<number, number>();
  #count = 0;
  #sum = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#eventsMax = random.float() < IDLE_SHARE ? 0.5 : random.float() * EVENTS_MAX;
    this.#middle = -6 + 6 * random.float();
    // It has been running for a while.
    for (let scrape = 0; scrape < 40; scrape++) this.#observe();
  }

  /** A canonical histogram of all that was observed until now. */
  scrape(): Uint8Array {
    this.#observe();
    const buckets = [...this.#counts.keys()].sort((one, other) => one - other);
    const spans = new ByteWriter();
    const deltas = new ByteWriter();
    let length = 0;
    let before = 0;
    for (const [at, bucket] of buckets.entries()) {
      deltas.zigzag(this.#counts.get(bucket)! - before);
      before = this.#counts.get(bucket)!;
      length++;
      if (buckets[at + 1] === bucket + 1) continue;
      const first = buckets[at - length + 1]!;
      writeSpan(spans, first - (length > at ? 0 : buckets[at - length]! + 1), length);
      length = 0;
    }
    return this.#message(spans, deltas);
  }

  #observe(): void {
    const events = Math.round(this.#random.float() * this.#eventsMax);
    for (let event = 0; event < events; event++) {
      const normal = [0, 0, 0, 0].reduce((sum) => sum + this.#random.float() - 0.5, 0);
      const exponent = this.#middle + normal * 2;
      this.#sum += 2 ** exponent;
      const bucket = Math.ceil(exponent * BUCKETS_PER_DOUBLING);
      this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
      this.#count++;
    }
  }

  #message(spans: ByteWriter, deltas: ByteWriter): Uint8Array {
    const writer = new ByteWriter();
    writer.byte(0x08);
    writer.varint(this.#count);
    writeDouble(writer, 0x19, this.#sum);
    writer.byte(0x20);
    writer.zigzag(SCHEMA);
    writeDouble(writer, 0x29, 2 ** -128);
    writer.raw(spans.bytes, 0, spans.length);
    writeField(writer, 0x62, deltas.finish());
    return writer.finish();
  }
}

function writeSpan(writer: ByteWriter, offset: number, length: number): void {
  const span = new ByteWriter();
  span.byte(0x08);
  span.zigzag(offset);
  span.byte(0x10);
  span.varint(length);
  writeField(writer, 0x5a, span.finish());
}

function writeField(writer: ByteWriter, tag: number, content: Uint8Array): void {
  writer.byte(tag);
  writer.varint(content.length);
  writer.raw(content);
}

function writeDouble(writer: ByteWriter, tag: number, value: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  writer.byte(tag);
  writer.raw(bytes);
}

function exemplar(random: Random): Uint8Array {
  const trace = `${random.id64().toString(16)}${random.id64().toString(16)}`;
  const writer = new ByteWriter();
  writer.raw(labelBytes([['trace_id', trace]]));
  writeDouble(writer, 0x11, random.float());
  return writer.finish();
}

function labelsOf(id: number): Uint8Array {
  const bytes = labelBytes([
    ['__name__', 'http_request_duration_seconds'],
    ['job', 'api'],
    ['instance', `10.0.0.${Math.floor(id / SERIES_PER_TARGET)}:8080`],
    ['method', id % 2 === 0 ? 'GET' : 'POST'],
    ['route', `/api/v1/resource/${id % SERIES_PER_TARGET}`],
    ['status', '200'],
  ]);
  const verdict = canonicalLabelSet(bytes);
  if (verdict.kind !== 'canonical') throw new Error(verdict.reason);
  return verdict.bytes;
}

function labelBytes(labels: readonly (readonly [string, string])[]): Uint8Array {
  const writer = new ByteWriter();
  for (const [name, value] of labels) {
    const label = new ByteWriter();
    writeField(label, 0x0a, Buffer.from(name));
    writeField(label, 0x12, Buffer.from(value));
    writeField(writer, 0x0a, label.finish());
  }
  return writer.finish();
}

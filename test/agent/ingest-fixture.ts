import { once } from 'node:events';
import http from 'node:http';
import { pino } from 'pino';
import snappyjs from 'snappyjs';
import { expect, onTestFinished } from 'vitest';
import type { Received } from '../../agent/ingest/answers.ts';
import {
  type AppendOutcome,
  createIngest,
  type IngestBatch,
  type IngestLimits,
  type IngestMetrics,
} from '../../agent/ingest/ingest.ts';
import type { SendersConfig } from '../../agent/senders-config.ts';
import { SeriesTable } from '../../agent/series/series-table.ts';
import { systemClock } from '../../base/clock.ts';
import { startHttpServer } from '../../base/http-server.ts';
import { decodeEntry } from '../../proto/dictionary-entry.ts';
import { formatLabelSet } from '../../proto/label-set.ts';
import type { SeriesGate } from '../../proto/series-lookup.ts';
import { label, sample, writeRequest } from '../proto/wire-fixture.ts';

const limitDefaults: IngestLimits = {
  bodyBytesMax: 32 * 1024 * 1024,
  decodedBytesMax: 32 * 1024 * 1024,
  requestTimeoutMs: 10_000,
  aheadMaxMs: 0,
  exemplarLabelLengthMax: 128,
  inFlightBytesMax: 64 * 1024 * 1024,
};

const anybody: SendersConfig = {
  defaultTenant: '',
  users: [],
  forceTenant: '',
  tenantMap: new Map(),
};

/** A good request of one sample. */
export const good = body([...label('__name__', 'up'), ...sample(1, 2n)]);

export function body(...series: Iterable<number>[]): Uint8Array {
  return snappyjs.compress(writeRequest(...series));
}

/** In place of the durable buffer: keeps what it is given, readable, and answers as told. */
export class RecordingBuffer {
  /**
   * `tenant {labels} timestamp bits` of each sample, in order; of a histogram or an exemplar its
   * kind and bytes in hexadecimal. Behind them ` from ` and a start timestamp that is known.
   */
  readonly samples: string[] = [];
  /** `tenant {labels}` or `tenant family` of each entry of the dictionary log. */
  readonly entries: string[] = [];
  appends = 0;
  /** Why nothing can be stored for a while. */
  pause: { reason: string; retryAfterMs: number } | undefined;
  /** Called for each append; it may wait. */
  answer: () => Promise<AppendOutcome> = async () => ({ kind: 'stored' });

  async append({ tenant, columns, newEntries }: IngestBatch): Promise<AppendOutcome> {
    this.appends++;
    if (newEntries !== undefined) {
      expect(newEntries.firstId).toBe(this.entries.length);
      this.entries.push(...newEntries.entries.map(entryText));
    }
    const objects = new Map(columns.objects.map((object) => [object.row, object]));
    const rows = Array.from({ length: columns.count }, (_, row) => {
      const low = BigInt(columns.valueBits[row * 2]!);
      const bits = (BigInt(columns.valueBits[row * 2 + 1]!) << 32n) | low;
      const series = this.entries[columns.ids[row]!]!;
      expect(series.startsWith(`${tenant} {`)).toBe(true);
      const object = objects.get(row);
      const what =
        object === undefined ? bits : `${object.kind} ${Buffer.from(object.bytes).toString('hex')}`;
      const start = columns.startOf(row) === 0 ? '' : ` from ${columns.startOf(row)}`;
      return `${series} ${columns.timestamps[row]} ${what}${start}`;
    });
    const outcome = await this.answer();
    if (outcome.kind === 'stored') this.samples.push(...rows);
    return outcome;
  }
}

function entryText(entry: Uint8Array): string {
  const decoded = decodeEntry(entry);
  const what = decoded.kind === 'series' ? formatLabelSet(decoded.labels) : decoded.family;
  return `${decoded.tenant} ${what}`;
}

/** Counts by name: `received`, `histograms`, `exemplars`, `refused no_labels`, `answered 204`. */
class Counts implements IngestMetrics {
  readonly counts: Record<string, number> = {};

  received({ samples, histograms, exemplars }: Received): void {
    this.#add('received', samples);
    this.#add('histograms', histograms);
    this.#add('exemplars', exemplars);
  }

  filtered(rule: number, { samples }: { samples: number }): void {
    this.#add(`filtered ${rule}`, samples);
  }

  refused(reason: string, samples: number): void {
    this.#add(`refused ${reason}`, samples);
  }

  exemplarsLeftOut(reason: string, exemplars: number): void {
    this.#add(`exemplars ${reason}`, exemplars);
  }

  answered(status: number): void {
    this.#add(`answered ${status}`, 1);
  }

  #add(name: string, count: number): void {
    this.counts[name] = (this.counts[name] ?? 0) + count;
  }
}

export type Fixture = Awaited<ReturnType<typeof startIngest>>;

/** The real handler behind the real server, in front of a recording buffer, for one test. */
export async function startIngest(
  changedLimits: Partial<IngestLimits> = {},
  seriesMax = 1000,
  senders: Partial<SendersConfig> = {},
  gate?: SeriesGate,
) {
  const buffer = new RecordingBuffer();
  // Looked at in each request: a test may change them.
  const limits = { ...limitDefaults, ...changedLimits };
  const metrics = new Counts();
  const logLines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => logLines.push(line) });
  const handle = createIngest({
    series: new SeriesTable({ seriesMax, gate }),
    append: (batch) => buffer.append(batch),
    unavailable: () => buffer.pause,
    senders: { ...anybody, ...senders },
    limits,
    metrics,
    log,
    clock: systemClock,
  });
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: [{ method: '*', path: '/api/v1/write', handle }],
    log,
    headerTimeoutMs: 5000,
    requestTimeoutMs: 20_000,
    connectionAgeMaxMs: 60_000,
    connectionsMax: 100,
  });
  onTestFinished(() => server.close(0));
  return { buffer, limits, counts: metrics.counts, logLines, url: `${server.url}/api/v1/write` };
}

export interface Reply {
  status: number;
  text: string;
  headers: http.IncomingHttpHeaders;
}

export interface RequestOptions {
  method?: string;
  headers?: http.OutgoingHttpHeaders;
}

/** Begins a request whose body the caller writes; nothing is added to the headers given. */
export function open(url: string, { method = 'POST', headers = {} }: RequestOptions = {}) {
  const request = http.request(url, { method, headers });
  const reply = once(request, 'response').then(async ([message]): Promise<Reply> => {
    const response = message as http.IncomingMessage;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    return { status: response.statusCode!, text, headers: response.headers };
  });
  return { request, reply };
}

export function post(url: string, content: Uint8Array, options: RequestOptions = {}) {
  const { request, reply } = open(url, {
    ...options,
    headers: { 'content-length': content.length, ...options.headers },
  });
  request.end(content);
  return reply;
}

export const VERSION_2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

/** Sends a message of version 2.0. */
export function post2(url: string, message: Uint8Array, headers: http.OutgoingHttpHeaders = {}) {
  return post(url, snappyjs.compress(message), {
    headers: { 'content-type': VERSION_2, 'content-encoding': 'snappy', ...headers },
  });
}

/** Samples, histograms and exemplars that an answer of version 2.0 says were written. */
export function written({ headers }: Reply): string {
  const counts = ['samples', 'histograms', 'exemplars'].map(
    (what) => headers[`x-prometheus-remote-write-${what}-written`] ?? 'none',
  );
  return counts.join('/');
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { type Body, readBody } from '../../base/http-body.ts';
import type { Handler } from '../../base/http-server.ts';
import { type BoundedLog, boundedLog, type Log } from '../../base/log.ts';
import { WriteRequestWalker } from '../../proto/remote-write/walker-1.ts';
import { PartialWriteWalker } from '../../proto/remote-write/walker-2.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { FULL, type NewEntries, type SeriesLookup } from '../../proto/series-lookup.ts';
import type { SendersConfig } from '../senders-config.ts';
import {
  type Answer,
  malformed,
  methodNotAllowed,
  overloaded,
  type Received,
  sendAnswer,
  tooMuchDecoded,
  tooSlow,
  unavailable,
} from './answers.ts';
import { BodyDecoder } from './body-decoder.ts';
import { type Media, mediaOf, type Version } from './headers.ts';
import { MemoryBudget, type MemoryShare } from './memory-budget.ts';
import { type LeftOutReason, ParsedRequest } from './parsed-request.ts';
import { Senders } from './senders.ts';

/** Samples of one tenant and the dictionary entries that must be durable with or before them. */
export interface IngestBatch {
  tenant: string;
  columns: SampleColumns;
  newEntries?: NewEntries;
}

export type AppendOutcome =
  | { kind: 'stored' }
  | { kind: 'unavailable'; reason: string; retryAfterMs: number };

export interface IngestLimits {
  /** Compressed. */
  bodyBytesMax: number;
  decodedBytesMax: number;
  requestTimeoutMs: number;
  /** How far in the future samples may be; 0: not limited. */
  aheadMaxMs: number;
  /** Characters of the labels of an exemplar; 0: exemplars are not judged. */
  exemplarLabelLengthMax: number;
  /** Bodies and decoded bytes of all requests that have not been answered yet. */
  inFlightBytesMax: number;
}

export interface IngestMetrics {
  /** What was stored, and the size of the body it came in. */
  received(what: Received, bodyBytes: number): void;
  /** Series that a rule of the filter drops, by its number. */
  filtered(rule: number, dropped: { samples: number; bytes: number }): void;
  /** Samples refused here, for good. */
  refused(reason: string, samples: number): void;
  /** Exemplars that are not stored, while their request is. */
  exemplarsLeftOut(reason: LeftOutReason, exemplars: number): void;
  answered(status: number): void;
}

export interface IngestOptions {
  series: SeriesLookup;
  /**
   * Resolves after the sync. It owns columns and entries from the call on: entries whose commit
   * fails must go with the next one, since their ids are in use.
   */
  append(batch: IngestBatch): Promise<AppendOutcome>;
  /** Why nothing can be stored at present: then no series may be looked up either. */
  unavailable(): { reason: string; retryAfterMs: number } | undefined;
  /** These two are looked at in each request: they may change. */
  readonly senders: SendersConfig;
  readonly limits: IngestLimits;
  metrics: IngestMetrics;
  log: Log;
  clock: Clock;
}

/** An operator has to act. */
const FULL_RETRY_AFTER_MS = 60_000;
const LOG_LINES_PER_MINUTE = 1;
const SAMPLES_EXPECTED_MIN = 256;
const SAMPLES_EXPECTED_MAX = 16_384;

/**
 * Handles every method of /api/v1/write and /api/v1/push: takes remote write by POST. A 2xx,
 * and the 400 that names what of a request was refused, promise that the rest survives a power cut.
 */
export function createIngest(options: IngestOptions): Handler {
  const ingest = new Ingest(options);
  return (request, response) => ingest.handle(request, response);
}

class Ingest {
  readonly #options: IngestOptions;
  readonly #log: BoundedLog;
  #senders: Senders;
  readonly #budget: MemoryBudget;
  // Parsing never waits, so one of each serves all.
  readonly #decoder = new BodyDecoder();
  readonly #walker = new WriteRequestWalker();
  readonly #partialWalker = new PartialWriteWalker();
  /** Samples of the request before: the next one will have about as many. */
  #samplesExpected = SAMPLES_EXPECTED_MIN;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#log = boundedLog(options.log, { perMinute: LOG_LINES_PER_MINUTE }, options.clock);
    this.#senders = new Senders(options.senders, this.#log);
    this.#budget = new MemoryBudget(() => options.limits.inFlightBytesMax);
  }

  /** Headers are judged before the body is touched. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const media = mediaOf(request.headersDistinct);
    const answer = await this.#judge(request, media);
    if (answer === undefined) return;
    this.#options.metrics.answered(answer.status);
    sendAnswer(response, answer, media);
  }

  async #judge(request: IncomingMessage, media: Media): Promise<Answer | undefined> {
    if (request.method !== 'POST') return methodNotAllowed;
    const sender = this.#sendersNow().admit(request);
    if (sender.kind === 'refused') return sender;
    if (media.kind === 'unsupported') return { status: 415, text: media.why };
    return this.#answer(request, sender.tenant, media.version);
  }

  /** Undefined when the client has gone. */
  async #answer(
    request: IncomingMessage,
    tenant: string,
    version: Version,
  ): Promise<Answer | undefined> {
    const { bodyBytesMax, requestTimeoutMs } = this.#options.limits;
    const share = this.#budget.open(expectedBodyBytes(request, bodyBytesMax));
    if (share === undefined) return overloaded();
    let body: Body;
    try {
      body = await readBody(request, { bytesMax: bodyBytesMax, timeoutMs: requestTimeoutMs });
    } finally {
      share.free();
    }
    switch (body.kind) {
      case 'body':
        return this.#answerBody(tenant, version, body.bytes);
      case 'too_large':
        return { status: 413, text: `request body exceeds the ${body.bytesMax} bytes limit` };
      case 'timed_out':
        return tooSlow();
      case 'aborted':
        return undefined;
    }
  }

  async #answerBody(tenant: string, version: Version, body: Uint8Array): Promise<Answer> {
    const { decodedBytesMax } = this.#options.limits;
    let decodedBytes = 0;
    try {
      decodedBytes = this.#decoder.expectedBytes(body, decodedBytesMax);
    } catch (error) {
      return malformed(error);
    }
    if (decodedBytes > decodedBytesMax) return tooMuchDecoded(decodedBytesMax);
    const share = this.#budget.open(decodedBytes);
    if (share === undefined) return overloaded();
    try {
      return await this.#store(tenant, version, body, share);
    } finally {
      share.free();
    }
  }

  /**
   * Up to the call of `append` nothing waits, so that dictionary entries are handed over in the
   * order of their ids.
   */
  async #store(
    tenant: string,
    version: Version,
    body: Uint8Array,
    share: MemoryShare,
  ): Promise<Answer> {
    const { append, series, metrics } = this.#options;
    const pause = this.#options.unavailable();
    if (pause !== undefined) return unavailable(pause.reason, pause.retryAfterMs);
    const tenantNumber = series.tenant(tenant);
    if (tenantNumber === FULL) return this.#dictionaryFull('too many tenants');
    const parsed = new ParsedRequest(series, tenantNumber, {
      capacity: this.#samplesExpected,
      newestMs: this.#newestMs(),
      exemplarLabelLengthMax: this.#options.limits.exemplarLabelLengthMax,
    });
    try {
      const decoded = this.#decoder.decode(body, share.bytes);
      const walker = version === 1 ? this.#walker : this.#partialWalker;
      walker.walk(decoded.bytes, decoded.length, parsed);
    } catch (error) {
      return malformed(error);
    }
    // New entries of a request that fails here go with the next one that is stored.
    if (!share.raise(parsed.memoryBytes)) return overloaded();
    if (parsed.isDictionaryFull) {
      return this.#dictionaryFull('the dictionary is full: raise buffer.max_series');
    }
    const { columns, histograms, exemplars } = parsed;
    this.#expect(columns.count);
    const newEntries = series.takeNewEntries();
    if (columns.count > 0 || newEntries !== undefined) {
      const batch = { tenant, columns };
      const outcome = await append(newEntries === undefined ? batch : { ...batch, newEntries });
      if (outcome.kind === 'unavailable') return unavailable(outcome.reason, outcome.retryAfterMs);
    }
    const stored = { samples: columns.count - exemplars, histograms, exemplars };
    metrics.received(stored, body.length);
    for (const { rule, ...what } of parsed.dropped.byRule()) metrics.filtered(rule, what);
    // What filters have dropped was handled, too.
    const written = sumOf(stored, parsed.filtered);
    this.#reportLeftOut(parsed);
    return { ...this.#settle(tenant, version, parsed), written };
  }

  /** The answer to a request of which everything that is good is stored. */
  #settle(tenant: string, version: Version, { refusals }: ParsedRequest): Answer {
    if (refusals.isEmpty) return { status: 204 };
    for (const [reason, count] of refusals.samples) this.#options.metrics.refused(reason, count);
    const summary = refusals.summary();
    this.#log.warn('refused', { tenant, refused: summary }, 'samples refused for good');
    return { status: 400, text: version === 1 ? summary : refusals.list() };
  }

  #expect(samples: number): void {
    this.#samplesExpected = Math.min(Math.max(samples, SAMPLES_EXPECTED_MIN), SAMPLES_EXPECTED_MAX);
  }

  #sendersNow(): Senders {
    const { senders } = this.#options;
    if (senders !== this.#senders.config) this.#senders = new Senders(senders, this.#log);
    return this.#senders;
  }

  #newestMs(): number {
    const { aheadMaxMs } = this.#options.limits;
    return aheadMaxMs === 0 ? Number.POSITIVE_INFINITY : this.#options.clock.now() + aheadMaxMs;
  }

  #dictionaryFull(reason: string): Answer {
    this.#log.error('dictionary full', { reason }, 'requests with new series are put off');
    return unavailable(reason, FULL_RETRY_AFTER_MS);
  }

  #reportLeftOut({ exemplarsLeftOut, metadataLeftOut }: ParsedRequest): void {
    for (const [reason, count] of exemplarsLeftOut) {
      this.#options.metrics.exemplarsLeftOut(reason, count);
      this.#log.warn(`exemplars ${reason}`, { count, reason }, 'exemplars left out');
    }
    if (metadataLeftOut > 0) {
      this.#log.warn('metadata', { count: metadataLeftOut }, 'metadata records left out');
    }
  }
}

function sumOf(one: Received, other: Received): Received {
  return {
    samples: one.samples + other.samples,
    histograms: one.histograms + other.histograms,
    exemplars: one.exemplars + other.exemplars,
  };
}

/** Length of the body as far as it is known before it comes. */
function expectedBodyBytes(request: IncomingMessage, bodyBytesMax: number): number {
  const declared = request.headers['content-length'];
  return declared === undefined ? bodyBytesMax : Math.min(Number(declared), bodyBytesMax);
}

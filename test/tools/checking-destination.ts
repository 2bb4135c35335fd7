import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import {
  CheckedSamples,
  type OrderFault,
  type Refuse,
  type Semantics,
  type StoredSample,
} from './checked-samples.ts';
import { decodeExactly, type ExactSeries, labelNotation } from './exact-remote-write.ts';

/** What to do with one request instead of answering it as the semantics say. */
export interface ScriptedAnswer {
  /** 200 when absent. */
  status?: number;
  body?: string;
  headers?: Record<string, string>;
  /** Milliseconds from the end of the request to the answer. */
  delayMs?: number;
  /** Whether the samples are stored all the same, as when only the answer is lost. */
  stores?: boolean;
  /** `hang`: never answer. `cut`: destroy the connection instead of answering. */
  ending?: 'answer' | 'hang' | 'cut';
}

export interface ReceivedRequest {
  tenant: string;
  headers: IncomingMessage['headers'];
  bodyBytes: number;
  sampleCount: number;
  /** 0 while unanswered, or when no answer was given. */
  status: number;
}

export interface CheckingDestinationOptions {
  semantics?: Semantics;
  refuse?: Refuse;
  /** A body with such a sample is answered 500 with these words, and nothing of it is stored. */
  fail?: Refuse;
  /** A body with more samples is answered 413 and nothing of it is stored. */
  samplesPerBodyMax?: number;
}

/**
 * A destination that forgets nothing: a real HTTP server that takes remote write 1.0, keeps every
 * sample bit for bit in the order of its arrival and notes what no sender may do.
 */
export class CheckingDestination {
  /** Where to post remote writes; known once it listens. */
  url = '';
  readonly requests: ReceivedRequest[] = [];
  /** What no sender may ever do: wrong headers, no labels, labels unsorted, replicas mixed. */
  readonly violations: string[] = [];
  /** Most requests that were open at one moment. */
  openMax = 0;
  readonly #semantics: Semantics;
  readonly #samples: CheckedSamples;
  readonly #samplesPerBodyMax: number;
  readonly #fail: Refuse;
  readonly #script: (ScriptedAnswer | 'as usual')[] = [];
  readonly #server: Server;
  #answerToAll: ScriptedAnswer | undefined;
  #open = 0;

  constructor(options: CheckingDestinationOptions) {
    this.#semantics = options.semantics ?? 'accepting';
    this.#samples = new CheckedSamples(this.#semantics, options.refuse ?? (() => undefined));
    this.#fail = options.fail ?? (() => undefined);
    this.#samplesPerBodyMax = options.samplesPerBodyMax ?? Number.POSITIVE_INFINITY;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}/api/v1/push`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Every sample stored for a tenant, by label notation, in the order of arrival. */
  samples(tenant: string): Map<string, StoredSample[]> {
    return this.#samples.ofTenant(tenant);
  }

  /** Samples that were stored although their series already had a newer or a different one. */
  get outOfOrder(): readonly OrderFault[] {
    return this.#samples.outOfOrder;
  }

  /** How many samples arrived again exactly as they were stored. */
  get repeated(): number {
    return this.#samples.repeated;
  }

  /** The next requests get these answers, one each. */
  answerNext(...answers: (ScriptedAnswer | 'as usual')[]): void {
    this.#script.push(...answers);
  }

  /** All requests get this status and nothing is stored; undefined: back to normal. */
  answerAllWith(status: number | undefined): void {
    this.#answerToAll = status === undefined ? undefined : { status };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#open++;
    this.openMax = Math.max(this.openMax, this.#open);
    response.once('close', () => this.#open--);
    try {
      await this.#take(await readAll(request), request, response);
    } catch (error) {
      // A sender that went away in the middle of a body has done nothing wrong.
      if (!request.complete) return;
      this.violations.push(String(error));
      response.writeHead(400).end(String(error));
    }
  }

  async #take(body: Buffer, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const tenant = String(request.headers['x-scope-orgid'] ?? '');
    const series = decodeExactly(body);
    const sampleCount = series.reduce((sum, { samples }) => sum + samples.length, 0);
    const { headers } = request;
    const received = { tenant, headers, bodyBytes: body.length, sampleCount, status: 0 };
    this.requests.push(received);
    this.violations.push(...headerFaults(request), ...labelFaults(series));
    // A Prometheus holds no elections, so replicas may share a body there.
    if (this.#semantics !== 'prometheus') this.violations.push(...replicaFaults(series));
    const next = this.#script.shift() ?? this.#answerToAll;
    const scripted = next === 'as usual' ? undefined : next;
    if (scripted?.stores === true) this.#samples.take(tenant, series);
    if (scripted?.delayMs !== undefined) await setTimeout(scripted.delayMs);
    if (scripted?.ending === 'hang') return;
    if (scripted?.ending === 'cut') {
      request.socket.destroy();
      return;
    }
    const answer = scripted ?? this.#answerAsUsual(tenant, series, sampleCount);
    received.status = answer.status ?? 200;
    response.writeHead(received.status, answer.headers ?? {}).end(answer.body ?? '');
  }

  /** In the words and codes of the real ones: Cortex' messages carry an address that varies. */
  #answerAsUsual(tenant: string, series: ExactSeries[], sampleCount: number): ScriptedAnswer {
    if (sampleCount > this.#samplesPerBodyMax) return { status: 413 };
    const failure = series
      .flatMap(({ labels, samples }) =>
        samples.map((sample) => this.#fail(tenant, labelNotation(labels), sample)),
      )
      .find((words) => words !== undefined);
    if (failure !== undefined) return { status: 500, body: failure };
    const refusal = this.#samples.take(tenant, series);
    if (refusal === undefined) return { status: this.#semantics === 'prometheus' ? 204 : 200 };
    if (this.#semantics !== 'cortex') return { status: 400, body: `${refusal}\n` };
    const address = `127.0.0.1:${10_000 + Math.floor(Math.random() * 50_000)}`;
    const from = `maxFailure (quorum) on a given error family, addr=${address} state=ACTIVE zone=`;
    const rpc = `rpc error: code = Code(400) desc = user=${tenant}: err: ${refusal}`;
    return { status: 400, body: `${from}, ${rpc}\n` };
  }
}

export async function startCheckingDestination(
  options: CheckingDestinationOptions = {},
): Promise<CheckingDestination> {
  const destination = new CheckingDestination(options);
  await destination.listen();
  return destination;
}

const EXPECTED_HEADERS = {
  'content-encoding': /^snappy$/,
  'content-type': /^application\/x-protobuf$/,
  'x-prometheus-remote-write-version': /^0\.1\.0$/,
  'user-agent': /./,
};

function headerFaults({ method, headers }: IncomingMessage): string[] {
  const faults = method === 'POST' ? [] : [`method ${method}`];
  for (const [name, expected] of Object.entries(EXPECTED_HEADERS)) {
    const value = headers[name];
    if (typeof value !== 'string' || !expected.test(value)) faults.push(`${name}: ${value}`);
  }
  return faults;
}

function labelFaults(series: readonly ExactSeries[]): string[] {
  const faults: string[] = [];
  for (const { labels } of series) {
    const names = labels.map(({ name }) => Buffer.from(name));
    if (names.length === 0) faults.push('a series without labels');
    const sorted = names.every((name, at) => at === 0 || Buffer.compare(names[at - 1]!, name) < 0);
    if (!sorted) faults.push(`labels out of order: ${names.join()}`);
  }
  return faults;
}

function replicaFaults(series: readonly ExactSeries[]): string[] {
  const groups = new Set(series.map(({ labels }) => replicaGroup(labels)));
  return groups.size > 1 ? [`replicas mixed in one body: ${[...groups].join(' and ')}`] : [];
}

function replicaGroup(labels: ExactSeries['labels']): string {
  const cluster = labels.find(({ name }) => name === 'cluster')?.value;
  const replica = labels.find(({ name }) => name === '__replica__')?.value;
  return cluster === undefined || replica === undefined ? 'none' : `${cluster}/${replica}`;
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

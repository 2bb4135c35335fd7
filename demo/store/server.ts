import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { readBody } from '../../base/http-body.ts';
import { type Handler, sendBytes, sendEmpty, sendText } from '../../base/http-server.ts';
import type { Log } from '../../base/log.ts';
import { decodeWriteRequest, type WrittenSeries } from '../write-request.ts';
import { type Answer, type Question, queryLabels, queryPoints } from './queries.ts';
import { Store } from './store.ts';

const BODY = { bytesMax: 32 * 1024 ** 2, timeoutMs: 30_000 };

/** Serves the store in `file` on loopback; port 0 takes any. Rejects when the port is taken. */
export async function startStore(options: { file: string; port: number; clock: Clock; log: Log }) {
  const store = new Store(options.file);
  const [push, query] = [pushTo(store, options.clock), queryFrom(store, options.clock)];
  const server = createServer((request, response) => {
    const handle = request.url === '/api/v1/push' ? push : query;
    handle(request, response).catch((error: unknown) => {
      options.log.error({ err: error, path: request.url }, 'the embedded destination failed');
      sendText(response, 500, `${error}\n`);
    });
  });
  await once(server.listen(options.port, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      store.close();
    },
  };
}

/** Remote write 1.0 with Cortex' answers: 400 names the first refusal, all the rest is stored. */
function pushTo(store: Store, clock: Clock): Handler {
  return async (request, response) => {
    const tenant = String(request.headers['x-scope-orgid'] ?? '');
    if (tenant === '') return sendText(response, 401, 'no org id\n');
    const body = await readBody(request, BODY);
    if (body.kind === 'aborted') return;
    if (body.kind !== 'body') return sendText(response, 400, 'body too large or too slow\n');
    let written: WrittenSeries[];
    try {
      written = decodeWriteRequest(body.bytes, BODY.bytesMax);
    } catch (error) {
      return sendText(response, 400, `${error}\n`);
    }
    if (written.some(({ labels }) => labels.length === 0)) {
      return sendText(response, 400, 'empty labels found\n');
    }
    const refusals: string[] = [];
    store.transact(() => {
      for (const { labels, samples } of written) {
        // It holds floats only: of native histograms and exemplars nothing is kept.
        if (samples.length === 0) continue;
        const series = store.open(tenant, labels);
        for (const sample of samples) {
          const outcome = store.add(series, sample);
          if (outcome !== 'stored') refusals.push(`${outcome}, series ${JSON.stringify(labels)}\n`);
        }
      }
    }, clock.now());
    const [refusal] = refusals;
    return refusal === undefined ? sendEmpty(response, 200) : sendText(response, 400, refusal);
  };
}

/** Prometheus' query API, by GET or by POST of a form, for the tenant named or `anonymous`. */
function queryFrom(store: Store, clock: Clock): Handler {
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://store');
    const params = request.method === 'POST' ? await readForm(request) : searchParams;
    const tenant = String(request.headers['x-scope-orgid'] ?? 'anonymous');
    const answer = answerTo(pathname, { store, tenant, params, nowMs: clock.now() });
    if (answer === undefined) return sendText(response, 404, `no such path: ${pathname}\n`);
    const status = answer.status === 'success' ? 200 : 400;
    sendBytes(response, status, 'application/json', Buffer.from(JSON.stringify(answer)));
  };
}

function answerTo(path: string, question: Question): Answer | undefined {
  if (path === '/api/v1/query') return queryPoints(question, 'vector');
  if (path === '/api/v1/query_range') return queryPoints(question, 'matrix');
  if (path === '/api/v1/labels') return queryLabels(question);
  const [, labelName] = /^\/api\/v1\/label\/(\w+)\/values$/.exec(path) ?? [];
  return labelName === undefined ? undefined : queryLabels(question, labelName);
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const form = await readBody(request, BODY);
  return new URLSearchParams(form.kind === 'body' ? form.bytes.toString() : '');
}

import snappy from 'snappyjs';
import type { Clock } from '../../base/clock.ts';
import { readBody } from '../../base/http-body.ts';
import { type Handler, sendEmpty, sendText } from '../../base/http-server.ts';
import { decodeWriteRequest, type WrittenSeries, wholeOf } from '../write-request.ts';
import type { Store } from './store.ts';

const BODY = { bytesMax: 32 * 1024 ** 2, timeoutMs: 30_000 };

/**
 * `POST /api/v1/push`, remote write 1.0, with Cortex' answers: 200 with an empty body; 400 with
 * the first refusal, while all other samples are stored; 401 without a tenant.
 */
export function pushHandler(store: Store, clock: Clock): Handler {
  return async (request, response) => {
    const tenant = String(request.headers['x-scope-orgid'] ?? '');
    if (tenant === '') return sendText(response, 401, 'no org id\n');
    const body = await readBody(request, BODY);
    if (body.kind === 'aborted') return;
    if (body.kind !== 'body') return sendText(response, 400, 'body too large or too slow\n');
    let written: WrittenSeries[];
    try {
      written = decodeWriteRequest(snappy.uncompress(body.bytes, BODY.bytesMax));
    } catch (error) {
      return sendText(response, 400, `${error}\n`);
    }
    if (written.some(({ labels }) => labels.length === 0)) {
      return sendText(response, 400, 'empty labels found\n');
    }
    const refusals: string[] = [];
    store.transact(() => {
      for (const series of written) addSeries(store, tenant, series, refusals);
    }, clock.now());
    return refusals[0] === undefined
      ? sendEmpty(response, 200)
      : sendText(response, 400, refusals[0]);
  };
}

function addSeries(store: Store, tenant: string, series: WrittenSeries, refusals: string[]): void {
  const labels = series.labels
    .filter(({ value }) => value !== '')
    .map(({ name, value }): [string, string] => [name, value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const id = store.open(tenant, labels);
  for (const { timestamp, value } of series.samples) {
    const outcome = store.add(id, wholeOf(timestamp), value);
    if (outcome !== 'stored') refusals.push(`${outcome}, labels: ${JSON.stringify(labels)}\n`);
  }
}

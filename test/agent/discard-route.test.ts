import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Discarded, DiscardRequest } from '../../agent/discard-request.ts';
import { discardRoutes } from '../../agent/discard-route.ts';
import { type HttpServer, startHttpServer } from '../../base/http-server.ts';

const NOTHING: Discarded = {
  samples: 0,
  oldest: null,
  newest: null,
  onTheirWay: 0,
  unreadable: 0,
};
const QUERY = 'tenant=@default&from=1970-01-01T00:00:01Z&to=2.5&parked=true';

let server: HttpServer;
let requests: DiscardRequest[];
let answers: ((discarded: Discarded) => void)[];

beforeEach(async () => {
  requests = [];
  answers = [];
  const routes = discardRoutes((request) => {
    requests.push(request);
    return new Promise((resolve) => answers.push(resolve));
  });
  server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes,
    log: pino({ level: 'silent' }),
    headerTimeoutMs: 1000,
    requestTimeoutMs: 1000,
    connectionAgeMaxMs: 60_000,
    connectionsMax: 10,
  });
});
afterEach(() => server.close(0));

/** Resolves once the request is being worked on, with its answer to come. */
async function begin(method: 'GET' | 'POST'): Promise<{ answer: Promise<Response> }> {
  const before = requests.length;
  const answer = fetch(`${server.url}/api/v1/buffer/discard?${QUERY}`, { method });
  while (requests.length === before) await new Promise((resolve) => setImmediate(resolve));
  return { answer };
}

test.each([
  ['GET', true],
  ['POST', false],
] as const)('%s counts only: %s', async (method, isDryRun) => {
  const { answer } = await begin(method);
  answers[0]!({ ...NOTHING, samples: 7, oldest: 1000, newest: 2000 });
  expect(requests).toEqual([{ tenant: '', fromMs: 1000, toMs: 2500, isParked: true, isDryRun }]);
  const response = await answer;
  expect([response.status, await response.json()]).toEqual([
    200,
    { samples: 7, oldest: 1000, newest: 2000, onTheirWay: 0, unreadable: 0 },
  ]);
});

test('one request is worked on at a time', async () => {
  const { answer } = await begin('POST');
  const second = await fetch(`${server.url}/api/v1/buffer/discard?${QUERY}`, { method: 'POST' });
  expect([second.status, requests.length]).toEqual([409, 1]);
  answers[0]!(NOTHING);
  expect((await answer).status).toBe(200);
  const third = await begin('POST');
  answers[1]!({ ...NOTHING, problem: 'the disk' });
  expect((await third.answer).status).toBe(503);
});

import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Route, sendBytes } from '../base/http-server.ts';
import { type Discarded, type DiscardRequest, parseDiscardRequest } from './discard-request.ts';

const PATH = '/api/v1/buffer/discard';
const PARAMETERS = ['tenant', 'from', 'to', 'parked'];

/**
 * POST discards samples of the buffer, GET says how many that would be:
 * `?tenant=NAME&from=TIME&to=TIME&parked=true`. Answered with JSON as in discard-request.ts: 400 for
 * a request that cannot be read, 403 for one that a web page makes, 409 while another one is worked
 * on, 503 where it had to stop.
 */
export function discardRoutes(discard: (request: DiscardRequest) => Promise<Discarded>): Route[] {
  let isBusy = false;
  const handle =
    (isDryRun: boolean) =>
    async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
      // A page on another site can make a browser on this machine send a POST, but not without this.
      if (incoming.headers.origin !== undefined) {
        sendJson(response, 403, { problem: 'web pages discard nothing' });
        return;
      }
      const request = readRequest(incoming.url ?? '', isDryRun);
      if (typeof request === 'string') return sendJson(response, 400, { problem: request });
      if (isBusy) return sendJson(response, 409, { problem: 'another discard is being done' });
      isBusy = true;
      try {
        const discarded = await discard(request);
        sendJson(response, discarded.problem === undefined ? 200 : 503, discarded);
      } finally {
        isBusy = false;
      }
    };
  return [
    { method: 'GET', path: PATH, handle: handle(true) },
    { method: 'POST', path: PATH, handle: handle(false) },
  ];
}

function readRequest(url: string, isDryRun: boolean): DiscardRequest | string {
  const parameters = new URLSearchParams(url.split('?').slice(1).join('?'));
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) return `${unknown}: there is no such parameter`;
  const twice = PARAMETERS.find((name) => parameters.getAll(name).length > 1);
  if (twice !== undefined) return `${twice} is there twice`;
  const parked = parameters.get('parked') ?? 'false';
  if (parked !== 'true' && parked !== 'false') return `parked=${parked}: expected true or false`;
  const get = (name: string) => parameters.get(name) ?? undefined;
  const texts = { tenant: get('tenant'), from: get('from'), to: get('to') };
  return parseDiscardRequest(texts, { isParked: parked === 'true', isDryRun });
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  const body = Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
  sendBytes(response, status, 'application/json', body);
}

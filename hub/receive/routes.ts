import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../../base/http-body.ts';
import type { Route } from '../../base/http-server.ts';
import type { KnownAgent } from './contracts.ts';
import type { SeriesCopy } from './dictionary-log.ts';
import type { Receiver } from './receiver.ts';
import { type Reply, textReply } from './reply.ts';

export interface RouteOptions {
  /** The agent that the header proves; `address` is that of the request, for people. */
  authenticate(authorization: string | undefined, address: string): KnownAgent | undefined;
  batchBytesMax: number;
  requestTimeoutMs: number;
  /** Longest silence in the middle of a batch. */
  silenceMs: number;
}

/** POST /v1/batch and GET /v1/positions. Credentials are judged before a byte of the body is read. */
export function receiveRoutes<Copy extends SeriesCopy>(
  receiver: Receiver<Copy>,
  options: RouteOptions,
): Route[] {
  const known =
    (answer: (agent: KnownAgent, request: IncomingMessage) => Promise<Reply> | Reply) =>
    async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const agent = options.authenticate(request.headers.authorization, addressOf(request));
      const reply =
        agent === undefined
          ? textReply(401, 'unknown agent or wrong token: see agents in the hub’s configuration')
          : await answer(agent, request);
      send(response, reply);
    };
  return [
    {
      method: 'POST',
      path: '/v1/batch',
      handle: known(async (agent, request) => {
        const body = await readBody(request, {
          bytesMax: options.batchBytesMax,
          timeoutMs: options.requestTimeoutMs,
          silenceMs: options.silenceMs,
        });
        switch (body.kind) {
          case 'body':
            return await receiver.receive(agent, body.bytes, addressOf(request));
          case 'too_large':
            return textReply(413, `a batch may have ${body.bytesMax} bytes: limits.max_batch`);
          case 'timed_out':
            return textReply(408, 'the batch did not arrive in time');
          case 'aborted':
            return textReply(400, 'the batch was cut off');
        }
      }),
    },
    { method: 'GET', path: '/v1/positions', handle: known((agent) => receiver.positions(agent)) },
  ];
}

function addressOf({ socket }: IncomingMessage): string {
  return `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
}

/** Nothing but what the agent needs: every byte of a header crosses the border. */
function send(response: ServerResponse, { status, body, retryAfterSeconds }: Reply): void {
  response.writeHead(status, {
    'Content-Length': body.length,
    ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': retryAfterSeconds }),
  });
  response.end(body);
}

import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from './clock.ts';
import { hasUnwantedRest } from './http-body.ts';
import { Connections } from './http-connections.ts';
import type { ListenAddress } from './listen-address.ts';
import { boundedLog, type Log } from './log.ts';

export type Handler = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => Promise<void>;

/** `method` `*` leaves judging the method to the handler; GET answers HEAD as well. */
export interface Route {
  method: string;
  path: string;
  handle: Handler;
}

/** What can change while a server runs. */
export interface HttpServerLimits {
  /** For the body of a request; the last resort behind the limit of `readBody`. */
  requestTimeoutMs: number;
  /**
   * Older connections are closed with their next answer: behind a Kubernetes service a connection
   * that is kept alive stays with one pod for ever, however many others are added.
   */
  connectionAgeMaxMs: number;
}

export interface HttpServerOptions extends HttpServerLimits {
  listen: ListenAddress;
  tls?: { certPem: string; keyPem: string } | undefined;
  routes: readonly Route[];
  log: Log;
  /** For the TLS handshake and for the headers of a request, each. */
  headerTimeoutMs: number;
  connectionsMax: number;
  /** Leaves out Date, Connection and Keep-Alive where every byte of an answer is paid for. */
  lean?: boolean;
}

export interface HttpServer {
  port: number;
  url: string;
  /** Holds for requests under way, too. */
  setLimits(limits: HttpServerLimits): void;
  /**
   * Accepts nothing new, closes idle connections, lets exchanges in progress finish and cuts what
   * is left after `deadlineMs`.
   */
  close(deadlineMs: number): Promise<void>;
}

/** An agent that ships every few seconds must find its connection alive (node's default is 5 s). */
const KEEP_ALIVE_TIMEOUT_MS = 120_000;
/** How long a refused sender is listened to, so that it reads the answer and not a reset. */
const LINGER_MS = 2000;

/** Starts listening; rejects with a readable message when the address cannot be had. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listen, log } = options;
  const route = createRouter(options.routes, log);
  const connections = new Connections(options.connectionAgeMaxMs);
  const server = createServer(options, (request, response) => {
    if (options.lean === true) {
      response.sendDate = false;
      // Keep-alive is the default of HTTP/1.1; node leaves both headers out once one is removed.
      response.removeHeader('Connection');
    }
    connections.beginExchange(request.socket, response);
    route(request, response);
  });
  server.on('connection', (socket) => connections.accepted(socket));
  const established = options.tls === undefined ? 'connection' : 'secureConnection';
  server.on(established, (socket) => connections.established(socket));
  const bounded = boundedLog(log, { perMinute: 1 }, systemClock);
  const { connectionsMax } = options;
  server.on('drop', () => bounded.warn('drop', { connectionsMax }, 'too many connections'));
  const port = await listenOn(server, listen);
  return {
    port,
    url: serverUrl(options, port),
    setLimits({ requestTimeoutMs, connectionAgeMaxMs }) {
      server.requestTimeout = wholeTimeoutMs(options.headerTimeoutMs, requestTimeoutMs);
      connections.ageMaxMs = connectionAgeMaxMs;
    },
    async close(deadlineMs) {
      const closed = new Promise((resolve) => server.close(resolve));
      connections.endIdle();
      const timer = setTimeout(() => connections.destroy(), deadlineMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

async function listenOn(server: http.Server | https.Server, listen: ListenAddress) {
  // An empty host would be looked up; undefined means every interface.
  server.listen({ port: listen.port, host: listen.host === '' ? undefined : listen.host });
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot listen on ${listen.host}:${listen.port}: ${reason}`);
  }
  return (server.address() as AddressInfo).port;
}

function createServer(
  options: HttpServerOptions,
  onRequest: http.RequestListener,
): http.Server | https.Server {
  const limits = {
    headersTimeout: options.headerTimeoutMs,
    requestTimeout: wholeTimeoutMs(options.headerTimeoutMs, options.requestTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionsCheckingInterval: 1000,
    noDelay: true,
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? http.createServer(limits, onRequest)
      : https.createServer(
          {
            ...limits,
            cert: tls.certPem,
            key: tls.keyPem,
            handshakeTimeout: options.headerTimeoutMs,
          },
          onRequest,
        );
  server.maxConnections = options.connectionsMax;
  return server;
}

/** `readBody` counts from the end of the headers and is to come first: it knows what to answer. */
function wholeTimeoutMs(headerTimeoutMs: number, requestTimeoutMs: number): number {
  return headerTimeoutMs + requestTimeoutMs;
}

function serverUrl({ listen, tls }: HttpServerOptions, port: number): string {
  const wildcard = listen.host === '' || listen.host === '0.0.0.0' || listen.host === '::';
  const host = wildcard ? '127.0.0.1' : listen.host;
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Finds the handler: 404 for an unknown path, 405 with Allow for a method it does not have. */
function createRouter(routes: readonly Route[], log: Log) {
  const paths = new Map<string, Map<string, Handler>>();
  for (const { method, path, handle } of routes) {
    const methods = paths.get(path) ?? new Map<string, Handler>();
    paths.set(path, methods.set(method, handle));
  }
  return (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const methods = paths.get(path);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    const handle = methods?.get(method) ?? methods?.get('*');
    if (methods === undefined) {
      sendText(response, 404, `no such path: ${path}\n`);
    } else if (handle === undefined) {
      const allow = [...methods.keys()].join(', ');
      sendText(response, 405, `${path} takes ${allow} only\n`, { Allow: allow });
    } else {
      handle(request, response).catch((error: unknown) => {
        log.error({ err: error, path }, 'a request failed because of a bug');
        if (response.headersSent) response.destroy();
        else sendText(response, 500, 'internal error\n');
      });
    }
  };
}

/** Answers with `text`; to be called once for each request. */
export function sendText(
  response: http.ServerResponse,
  status: number,
  text: string,
  headers: http.OutgoingHttpHeaders = {},
): void {
  sendBytes(response, status, 'text/plain; charset=utf-8', Buffer.from(text), headers);
}

/** Answers with `bytes` of `contentType`; to be called once for each request. */
export function sendBytes(
  response: http.ServerResponse,
  status: number,
  contentType: string,
  bytes: Uint8Array,
  headers: http.OutgoingHttpHeaders = {},
): void {
  const length = { 'Content-Type': contentType, 'Content-Length': bytes.byteLength };
  send(response, status, { ...length, ...headers }, bytes);
}

/** Answers with headers only; to be called once for each request. */
export function sendEmpty(
  response: http.ServerResponse,
  status: number,
  headers: http.OutgoingHttpHeaders = {},
): void {
  send(response, status, status === 204 ? headers : { 'Content-Length': 0, ...headers });
}

function send(
  response: http.ServerResponse,
  status: number,
  headers: http.OutgoingHttpHeaders,
  bytes: Uint8Array = new Uint8Array(0),
): void {
  if (!hasUnwantedRest(response.req)) {
    response.writeHead(status, headers).end(bytes);
    return;
  }
  // Closing while the client still sends makes its kernel drop the answer unread (RFC 9112, 9.6):
  // so the rest is read and thrown away for a moment.
  response.setHeader('Connection', 'close');
  response.writeHead(status, headers).flushHeaders();
  if (bytes.byteLength > 0) response.write(bytes);
  const timer = setTimeout(finish, LINGER_MS);
  function finish(): void {
    clearTimeout(timer);
    response.end();
  }
  response.req.once('end', finish).once('close', finish).resume();
}

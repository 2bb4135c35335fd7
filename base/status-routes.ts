import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Handler, Route } from './http-server.ts';
import { sendBytes, sendText } from './http-server.ts';

/** What a program tells of itself over HTTP. */
export interface StatusSource {
  /** The text exposition of all metrics, and its content type. */
  metrics(): Promise<{ contentType: string; text: string }>;
  /** Whether requests can be served. */
  isReady(): boolean;
  /** What /api/v1/status shows, as JSON. */
  status(): Promise<object>;
}

/** /-/healthy and /-/ready: for probes, on every listener. */
export function probeRoutes(source: StatusSource): Route[] {
  const probe =
    (isWell: () => boolean): Handler =>
    (_request: IncomingMessage, response: ServerResponse) => {
      if (isWell()) sendText(response, 200, 'OK\n');
      else sendText(response, 503, 'not ready\n');
      return Promise.resolve();
    };
  return [
    { method: 'GET', path: '/-/healthy', handle: probe(() => true) },
    { method: 'GET', path: '/-/ready', handle: probe(() => source.isReady()) },
  ];
}

/** /metrics and /api/v1/status: for the operator, not for the internet. */
export function adminRoutes(source: StatusSource): Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      handle: async (_request, response) => {
        const { contentType, text } = await source.metrics();
        sendBytes(response, 200, contentType, Buffer.from(text));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/status',
      handle: async (_request, response) => {
        const body = Buffer.from(`${JSON.stringify(await source.status(), undefined, 2)}\n`);
        sendBytes(response, 200, 'application/json', body);
      },
    },
  ];
}

/**
 * POST /-/reload, answered as Prometheus does: 200, or 500 with what is wrong with the
 * configuration.
 */
export function reloadRoute(
  reload: () => Promise<{ kind: 'reloaded' } | { kind: 'failed'; lines: string[] }>,
): Route {
  return {
    method: 'POST',
    path: '/-/reload',
    handle: async (_request, response) => {
      const outcome = await reload();
      if (outcome.kind === 'reloaded') sendText(response, 200, 'reloaded\n');
      else sendText(response, 500, `not reloaded:\n${outcome.lines.join('\n')}\n`);
    },
  };
}

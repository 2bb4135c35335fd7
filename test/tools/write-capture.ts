import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Workspace } from './workspace.ts';
import { decodeWritten, type WrittenBody } from './written-series.ts';

export interface CapturedRequest {
  headers: IncomingHttpHeaders;
  body: WrittenBody;
}

/** Takes everything that is remote-written, in either version, and keeps it decoded. */
export interface WriteCapture {
  readonly url: string;
  /** In the order of arrival. */
  readonly requests: readonly CapturedRequest[];
}

export async function startWriteCapture(workspace: Workspace): Promise<WriteCapture> {
  const requests: CapturedRequest[] = [];
  const server = createServer(async (request, response) => {
    try {
      const contentType = request.headers['content-type'] ?? '';
      const body = decodeWritten(await readAll(request), contentType);
      requests.push({ headers: request.headers, body });
      response.writeHead(204, writtenHeaders(body)).end();
    } catch (error) {
      response.writeHead(400).end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  workspace.onClose(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/api/v1/write`, requests };
}

/** A sender of version 2.0 takes an answer without them for one of a 1.0 receiver: all lost. */
function writtenHeaders({ version, timeSeries }: WrittenBody): Record<string, string> {
  if (version === 1) return {};
  const count = (kind: 'samples' | 'histograms' | 'exemplars') =>
    String(timeSeries.reduce((total, series) => total + series[kind].length, 0));
  return {
    'X-Prometheus-Remote-Write-Samples-Written': count('samples'),
    'X-Prometheus-Remote-Write-Histograms-Written': count('histograms'),
    'X-Prometheus-Remote-Write-Exemplars-Written': count('exemplars'),
  };
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

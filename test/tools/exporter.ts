import { once } from 'node:events';
import { createServer } from 'node:http';
import { freePort } from './ports.ts';
import type { Workspace } from './workspace.ts';

/** Successive answers of a target; what it says depends on how often it has been asked. */
export interface Scraped {
  readonly contentType: string;
  readonly scrapes: number;
  next(): string | Uint8Array;
}

/** A scrape target in this process, path /metrics. */
export interface Exporter {
  readonly port: number;
  /** How often it has been scraped. */
  readonly scrapes: number;
  /** Refuses connections from now on: to a scraper the target is down. */
  stop(): Promise<void>;
}

export async function startExporter(workspace: Workspace, scraped: Scraped): Promise<Exporter> {
  const mediaType = scraped.contentType.split(';')[0]!;
  const server = createServer((request, response) => {
    // A scraper that does not ask for protobuf would take it for text.
    if (!(request.headers.accept ?? '*/*').includes(mediaType) && !mediaType.startsWith('text/')) {
      response.writeHead(406).end();
      return;
    }
    response.setHeader('Content-Type', scraped.contentType);
    response.end(scraped.next());
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  workspace.onClose(stop);
  return {
    port,
    get scrapes() {
      return scraped.scrapes;
    },
    stop,
  };
}

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBody } from '../base/http-body.ts';
import type { Workspace } from '../test/tools/workspace.ts';

const BODY = { bytesMax: 16 << 20, timeoutMs: 30_000 };

/** Takes any body of remote write 1.0 with 200 and keeps it as it came. */
export async function startCollectingDestination(
  workspace: Workspace,
): Promise<{ url: string; bodies: readonly Uint8Array[] }> {
  const bodies: Uint8Array[] = [];
  const server = createServer((request, response) => {
    void readBody(request, BODY).then((body) => {
      if (body.kind === 'body') bodies.push(body.bytes);
      response.writeHead(body.kind === 'body' ? 200 : 400).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  workspace.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/api/v1/push`, bodies };
}

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HubClient } from '../../agent/ship/hub-client.ts';
import { systemClock } from '../../base/clock.ts';
import { type HttpServer, sendText, startHttpServer } from '../../base/http-server.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { startTcpProxy, type TcpProxy } from '../tools/tcp-proxy.ts';
import { Workspace } from '../tools/workspace.ts';

const pem = (name: string) =>
  readFileSync(new URL(`../fixtures/loopback.${name}`, import.meta.url), 'utf8');
const certPem = pem('crt');

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('link-bytes');
});
afterEach(() => workspace.close());

async function start(tls: { certPem: string; keyPem: string } | undefined) {
  const server: HttpServer = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    routes: [
      {
        method: 'POST',
        path: '/v1/batch',
        async handle(request, response) {
          await request.resume().toArray();
          sendText(response, 503, 'not now\n');
        },
      },
    ],
    log: memoryLog().log,
    headerTimeoutMs: 5000,
    requestTimeoutMs: 5000,
    connectionAgeMaxMs: 60_000,
    connectionsMax: 10,
  });
  const proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: server.port } });
  workspace.onClose(() => server.close(0));
  workspace.onClose(() => proxy.close());
  return proxy;
}

function connect(url: string, caPem: string): HubClient {
  const client = new HubClient(
    { urls: [url], agentId: 'sg', token: 'x', caPem, requestTimeoutMs: 5000, connectionsMax: 2 },
    systemClock,
  );
  workspace.onClose(() => client.close());
  return client;
}

/** What client and proxy have counted, up and down. */
const counts = ({ linkBytes: { up, down } }: HubClient, { bytesUp, bytesDown }: TcpProxy) => ({
  client: [up, down],
  proxy: [bytesUp, bytesDown],
});

test.each([
  ['http', undefined],
  ['https', { certPem, keyPem: pem('key') }],
])('over %s the client counts every byte that crosses the link', async (scheme, tls) => {
  const proxy = await start(tls);
  const client = connect(`${scheme}://127.0.0.1:${proxy.port}`, certPem);
  for (const bytes of [1, 1000, 300_000]) {
    const reply = await client.postBatch(Buffer.alloc(bytes), new AbortController().signal);
    expect(reply).toMatchObject({ kind: 'busy', message: '503 not now' });
  }
  const open = counts(client, proxy);
  expect(open.client).toEqual(open.proxy);
  expect(open.client[0]).toBeGreaterThan(301_000);
  await client.close();
  expect(counts(client, proxy).client).toEqual(open.client);
});

test('a hub whose certificate is not trusted is unreachable, and the handshake counts', async () => {
  const proxy = await start({ certPem, keyPem: pem('key') });
  const client = new HubClient(
    {
      urls: [`https://127.0.0.1:${proxy.port}`],
      agentId: 'sg',
      token: 'x',
      requestTimeoutMs: 5000,
      connectionsMax: 2,
    },
    systemClock,
  );
  workspace.onClose(() => client.close());
  const reply = await client.postBatch(Buffer.alloc(10), new AbortController().signal);
  expect(reply).toMatchObject({ kind: 'unreachable' });
  expect(client.linkBytes.up).toBeGreaterThan(200);
});

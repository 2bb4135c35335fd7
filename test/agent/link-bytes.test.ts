import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HubClient } from '../../agent/ship/hub-client.ts';
import { EXCHANGE_HEADER_BYTES } from '../../agent/ship/packet-estimate.ts';
import type { TcpProxy } from '../tools/tcp-proxy.ts';
import { Workspace } from '../tools/workspace.ts';
import { connectTo, startTinyHub } from './link-fixture.ts';

const pem = (name: string) =>
  readFileSync(new URL(`../fixtures/loopback.${name}`, import.meta.url), 'utf8');
const tls = { certPem: pem('crt'), keyPem: pem('key') };

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('link-bytes');
});
afterEach(() => workspace.close());

/** What client and proxy have counted, up and down. */
const counts = ({ linkBytes: { up, down } }: HubClient, { bytesUp, bytesDown }: TcpProxy) => ({
  client: [up, down],
  proxy: [bytesUp, bytesDown],
});

function post(client: HubClient, bytes: number) {
  return client.postBatch(Buffer.alloc(bytes), new AbortController().signal, 'live');
}

test.each([
  ['http', {}],
  ['https', { tls }],
])('over %s the client counts every byte that crosses the link', async (_scheme, options) => {
  const { url, proxy } = await startTinyHub(workspace, options);
  const client = connectTo(workspace, url, { caPem: tls.certPem });
  for (const bytes of [1, 1000, 300_000]) {
    const before = proxy.bytesUp + proxy.bytesDown;
    const reply = await post(client, bytes);
    const crossed = proxy.bytesUp + proxy.bytesDown - before;
    expect(reply).toMatchObject({ kind: 'answer' });
    // The first one pays for the connection.
    if (bytes === 1) continue;
    const besideFrame = crossed - bytes + EXCHANGE_HEADER_BYTES;
    expect(reply).toMatchObject({ exchangeBytes: besideFrame });
    expect(besideFrame).toBeLessThan(1000);
  }
  const open = counts(client, proxy);
  expect(open.client).toEqual(open.proxy);
  expect(open.client[0]).toBeGreaterThan(301_000);
  await client.close();
  expect(counts(client, proxy).client).toEqual(open.client);
});

test('a hub whose certificate is not trusted is unreachable, and the handshake counts', async () => {
  const { url } = await startTinyHub(workspace, { tls });
  const client = connectTo(workspace, url);
  expect(await post(client, 10)).toMatchObject({ kind: 'unreachable' });
  expect(client.linkBytes.up).toBeGreaterThan(200);
});

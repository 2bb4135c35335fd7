import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunningHub, startHub, TOKEN } from '../agent/ship-fixture.ts';
import { Workspace } from '../tools/workspace.ts';
import { AgentDouble, RecordingDestination } from './receive-fixture.ts';

let workspace: Workspace;
let hub: RunningHub;
let destination: RecordingDestination;

beforeEach(async () => {
  workspace = new Workspace('receive-http');
  destination = new RecordingDestination();
  hub = await startHub(workspace.subfolder('hub'), destination.post, { batchBytesMax: 65_536 });
});
afterEach(async () => {
  await hub.end();
  await workspace.close();
});

const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;

function post(body: Uint8Array, authorization?: string): Promise<Response> {
  const headers = authorization === undefined ? {} : { authorization };
  return fetch(`${hub.url}/v1/batch`, { method: 'POST', body: Buffer.from(body), headers });
}

function batch(): Uint8Array {
  const agent = new AgentDouble(1n);
  return agent.live(7n, 0, [[agent.series('up'), 10]], [1, 1]);
}

test('whoever does not prove to be an agent is answered 401 and nothing is decoded', async () => {
  const wrong = [undefined, basic('sg:wrong'), basic(`other:${TOKEN}`), basic('sg'), 'Bearer x'];
  for (const authorization of wrong) {
    expect((await post(batch(), authorization)).status).toBe(401);
    // Broken bytes would be answered 400, had anybody looked at them.
    expect((await post(Buffer.from('junk'), authorization)).status).toBe(401);
    const headers = authorization === undefined ? {} : { authorization };
    expect((await fetch(`${hub.url}/v1/positions`, { headers })).status).toBe(401);
  }
  expect(destination.requests).toBe(0);
  expect((await post(batch(), basic(`sg:${TOKEN}`))).status).toBe(200);
});

test('a body over the limit is answered 413, declared or not', async () => {
  const authorization = basic(`sg:${TOKEN}`);
  expect((await post(new Uint8Array(65_537), authorization)).status).toBe(413);
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(new Uint8Array(16_384));
    },
  });
  const chunked = { method: 'POST', headers: { authorization }, body, duplex: 'half' } as const;
  const answer = fetch(`${hub.url}/v1/batch`, chunked as RequestInit).then(
    ({ status }) => status,
    () => 'cut off',
  );
  expect([413, 'cut off']).toContain(await answer);
  expect((await post(batch(), authorization)).status).toBe(200);
});

test('an answer carries no header but its length', async () => {
  const { headers } = await post(batch(), basic(`sg:${TOKEN}`));
  expect([...headers.keys()]).toEqual(['content-length']);
});

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Kind } from '../../agent/ship/exchange.ts';
import type { HubClient } from '../../agent/ship/hub-client.ts';
import { encodeAnswer } from '../../proto/answer.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type ClientOptions, connectTo, startSwitch } from './link-fixture.ts';

// Most of these tests wait for silence to last: they wait together.
let workspace: Workspace;
beforeAll(() => {
  workspace = new Workspace('link-silence');
});
afterAll(() => workspace.close());

const never = new AbortController().signal;
const ANSWER = Buffer.from(
  encodeAnswer({ settlement: emptySettlement(), dictionaryOffset: 0, hubClockMs: 1 }),
);

interface Server {
  url: string;
  port: number;
  /** That were made so far. */
  sockets: Socket[];
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume().once('end', () => response.end(ANSWER));
}

async function startServer(handle: Handle = answer): Promise<Server> {
  const sockets: Socket[] = [];
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    // As the hub: without a hint how long the connection is kept.
    response.removeHeader('Connection');
    handle(request, response);
  });
  server.on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  workspace.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, sockets };
}

function post(client: HubClient, bytes: number, kind: Kind = 'live', signal = never) {
  return client.postBatch(Buffer.alloc(bytes, 'x'), signal, kind);
}

function client(url: string, options: ClientOptions = {}): HubClient {
  return connectTo(workspace, url, options);
}

describe.concurrent('connections', () => {
  test('outlive the pause between batches, and serve heartbeats as well', async () => {
    const { url, sockets } = await startServer();
    const link = client(url);
    expect(await post(link, 10)).toMatchObject({ kind: 'answer' });
    // An HTTP client that was told nothing closes after 4 s, and batches come every 5 s.
    await new Promise((resolve) => setTimeout(resolve, 5200));
    for (const kind of ['live', 'prompt', 'backlog'] as const) {
      expect(await post(link, 10, kind)).toMatchObject({ kind: 'answer' });
    }
    expect(sockets).toHaveLength(1);
  }, 15_000);

  test('end as early as the other end announces', async () => {
    const { url, sockets } = await startServer((request, response) => {
      response.setHeader('Keep-Alive', 'timeout=3');
      answer(request, response);
    });
    const link = client(url);
    await post(link, 10);
    await until('the connection to end', 4000, () => sockets[0]!.destroyed);
    expect(await post(link, 10)).toMatchObject({ kind: 'answer' });
    expect(sockets).toHaveLength(2);
  });

  test('that the other end has closed are replaced without a failure', async () => {
    const { url, sockets } = await startServer();
    const link = client(url);
    for (let round = 1; round <= 3; round++) {
      expect(await post(link, 10)).toMatchObject({ kind: 'answer' });
      const closed = new Promise((resolve) => sockets.at(-1)!.once('close', resolve));
      sockets.at(-1)!.end();
      await closed;
    }
    expect(sockets).toHaveLength(3);
  });
});

test('connections are replaced after five minutes, so that other addresses of the hub are found', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { url, sockets } = await startServer();
  const link = client(url);
  for (const [passedMs, connections] of [
    [0, 1],
    [299_000, 1],
    [2000, 2],
  ] as const) {
    vi.advanceTimersByTime(passedMs);
    expect(await post(link, 10)).toMatchObject({ kind: 'answer' });
    expect(sockets).toHaveLength(connections);
  }
});

test('a hub URL may have a path, with or without a slash at the end', async () => {
  const paths: (string | undefined)[] = [];
  const { url } = await startServer((request, response) => {
    paths.push(request.url);
    answer(request, response);
  });
  for (const path of ['', '/', '/edge', '/edge/']) {
    expect(await post(client(url + path), 10)).toMatchObject({ kind: 'answer' });
  }
  const batch = '/v1/batch';
  expect(paths).toEqual([batch, batch, `/edge${batch}`, `/edge${batch}`]);
});

describe.concurrent('while all connections for batches are held', () => {
  test('questions and heartbeats pass, and who waits is not timed out', async () => {
    const held: ServerResponse[] = [];
    const { url } = await startServer((request, response) => {
      if (request.headers['content-length'] === '7') held.push(response);
      else answer(request, response);
    });
    const link = client(url, { requestTimeoutMs: 600 });
    const batches = Array.from({ length: 8 }, () => post(link, 7));
    await until('the batches', 5000, () => held.length === 8);
    const waiting = post(link, 20);
    expect(await post(link, 10, 'prompt')).toMatchObject({ kind: 'answer' });
    const kinds = (await Promise.all(batches)).map(({ kind }) => kind);
    expect(kinds).toEqual(Array(8).fill('unreachable'));
    // It has waited as long as those which ran into the limit.
    expect(await waiting).toMatchObject({ kind: 'answer' });
  });

  test('who is given up while it waits does not take the place of the next', async () => {
    const held: ServerResponse[] = [];
    const { url } = await startServer((request, response) => {
      if (request.headers['content-length'] === '7') held.push(response);
      else answer(request, response);
    });
    // Nobody who is held makes room by running into the limit.
    const link = client(url, { requestTimeoutMs: 60_000 });
    const batches = Array.from({ length: 8 }, () => post(link, 7));
    await until('the batches', 5000, () => held.length === 8);
    const giving = new AbortController();
    const given = post(link, 20, 'live', giving.signal);
    const next = post(link, 30);
    giving.abort();
    expect(await given).toMatchObject({ kind: 'unreachable' });
    held[0]!.end(ANSWER);
    expect(await next).toMatchObject({ kind: 'answer' });
    for (const response of held.slice(1)) response.end(ANSWER);
    await Promise.all(batches);
  });
});

describe('a body', () => {
  /** A large body takes more than a second like this. */
  const READ_EVERY_MS = 5;
  /** More than the kernel takes for a reader that does not read. */
  const LARGE = 24 * 2 ** 20;

  test('may take longer than the request limit as long as it drains', async () => {
    const { url } = await startServer((request, response) => {
      // Reads what there is, and leaves the rest to the kernel for a while.
      const reads = setInterval(() => request.read(), READ_EVERY_MS);
      request.once('end', () => {
        clearInterval(reads);
        response.end(ANSWER);
      });
    });
    const link = client(url, { requestTimeoutMs: 1000 });
    const startMs = performance.now();
    expect(await post(link, LARGE)).toMatchObject({ kind: 'answer' });
    expect(performance.now() - startMs).toBeGreaterThan(1000);
  }, 30_000);

  test('that stops in the middle is given up after the limit, and nothing more of it crosses', async () => {
    const errors: (string | undefined)[] = [];
    const accepted: Socket[] = [];
    const server = createTcpServer({ pauseOnConnect: true }, (socket) => {
      accepted.push(socket);
      socket.on('error', ({ code }: NodeJS.ErrnoException) => errors.push(code));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    workspace.onClose(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const link = client(url, { requestTimeoutMs: 300 });
    expect(await post(link, LARGE)).toEqual({
      kind: 'unreachable',
      message: 'the hub did nothing for 300 ms',
      isOver: false,
      isSilent: false,
      isCutOff: false,
    });
    // A reset: with an orderly end the kernel would go on to send what it holds.
    accepted[0]!.resume();
    await until('the reset', 5000, () => errors.length > 0);
    expect(errors).toEqual(['ECONNRESET']);
  });
});

describe.concurrent('a connection that is dead although it stands', () => {
  test('is suspected long before the limit, and given up when the hub answers elsewhere', async () => {
    const { port } = await startServer();
    const { url, links, stall } = await startSwitch(workspace, port);
    const link = client(url, { requestTimeoutMs: 60_000 });
    await post(link, 10);
    stall('up');
    const startMs = performance.now();
    let questions = 0;
    const reply = await link.postBatch(Buffer.alloc(10), never, 'live', async () => {
      questions++;
      const { kind } = await post(link, 10, 'prompt');
      return kind === 'answer' ? 'over' : 'unheard';
    });
    expect(reply).toMatchObject({ kind: 'unreachable', isOver: true });
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(questions).toBe(1);
    await until('the end of the connection', 5000, () => links[0]![0].destroyed);
  });

  test('is left alone while the hub has the batch', async () => {
    const held: ServerResponse[] = [];
    const { url } = await startServer((request, response) => {
      if (request.headers['content-length'] !== '7') return answer(request, response);
      request.resume();
      held.push(response);
    });
    const link = client(url, { requestTimeoutMs: 60_000 });
    await post(link, 10);
    let questions = 0;
    const reply = link.postBatch(Buffer.alloc(7), never, 'live', async () => {
      questions++;
      return 'wait';
    });
    await until('a question', 8000, () => questions === 1);
    held[0]!.end(ANSWER);
    expect(await reply).toMatchObject({ kind: 'answer' });
  }, 10_000);

  test('costs a question no more than a moment: the next one goes elsewhere', async () => {
    const { port } = await startServer();
    const { url, links, stall } = await startSwitch(workspace, port);
    const link = client(url, { requestTimeoutMs: 60_000 });
    await post(link, 10);
    stall('up');
    const startMs = performance.now();
    expect(await post(link, 10, 'prompt')).toMatchObject({ kind: 'unreachable', isSilent: true });
    expect(await post(link, 10, 'prompt')).toMatchObject({ kind: 'answer' });
    expect(performance.now() - startMs).toBeLessThan(4000);
    expect(links).toHaveLength(2);
  });
});

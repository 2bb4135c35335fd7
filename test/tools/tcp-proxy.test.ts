import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { freePort } from './ports.ts';
import { seededRandom, seedOfRun } from './seeded-random.ts';
import { flap, startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { until } from './until.ts';
import { Workspace } from './workspace.ts';

const stepMsMax = 5000;

/** A server that remembers what it got and answers every chunk with itself. */
async function startEcho(workspace: Workspace) {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received.push(chunk);
      socket.write(chunk);
    });
    socket.on('end', () => socket.end());
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  workspace.onClose(() => void server.close());
  return { port, received: () => Buffer.concat(received) };
}

interface Client {
  socket: Socket;
  received(): Buffer;
  /** How the connection ended: an error code, `FIN`, or undefined while it lives. */
  ending(): string | undefined;
}

function openClient(workspace: Workspace, port: number): Client {
  const socket = connect({ port, host: '127.0.0.1' });
  workspace.onClose(() => void socket.destroy());
  const received: Buffer[] = [];
  let ending: string | undefined;
  socket.on('data', (chunk) => received.push(chunk));
  socket.on('end', () => {
    ending ??= 'FIN';
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ending ??= error.code ?? 'error';
  });
  return { socket, received: () => Buffer.concat(received), ending: () => ending };
}

describe('a TCP proxy', () => {
  let workspace: Workspace;
  let echo: Awaited<ReturnType<typeof startEcho>>;
  let proxy: TcpProxy;
  beforeEach(async () => {
    workspace = new Workspace('proxy');
    echo = await startEcho(workspace);
    const started = await startTcpProxy({ target: { host: '127.0.0.1', port: echo.port } });
    workspace.onClose(() => started.close());
    proxy = started;
  });
  afterEach(() => workspace.close());

  const client = () => openClient(workspace, proxy.port);
  const echoed = (to: Client, bytes: number) =>
    until(`${bytes} bytes back`, stepMsMax, () => to.received().length === bytes);
  const ended = (of: Client, how: string) =>
    until(`an end by ${how}`, stepMsMax, () => of.ending() === how);

  test('carries bytes unchanged and counts them each way', async () => {
    const bytes = Buffer.alloc(3_000_000, 'starferry');
    const { socket, received } = client();
    socket.write(bytes);
    await until('all bytes back', stepMsMax, () => received().length === bytes.length);
    expect(received().equals(bytes)).toBe(true);
    expect([proxy.bytesUp, proxy.bytesDown]).toEqual([bytes.length, bytes.length]);
  });

  test('passes the end of a connection on after what was said before it', async () => {
    const one = client();
    one.socket.end('last words');
    await ended(one, 'FIN');
    expect(one.received().toString()).toBe('last words');
  });

  test.each([
    ['reset', 'ECONNRESET'],
    ['finish', 'FIN'],
  ] as const)('a cut by %s ends connections by %s', async (how, ending) => {
    const one = client();
    one.socket.write('before');
    await echoed(one, 6);
    await proxy.cut(how);
    await ended(one, ending);
  });

  test('refuses connections while cut and takes them on the same port after', async () => {
    await proxy.cut();
    await ended(client(), 'ECONNREFUSED');
    await proxy.restore();
    const after = client();
    after.socket.write('after');
    await echoed(after, 5);
  });

  test('as a black hole accepts connections, delivers nothing, and everything later', async () => {
    const old = client();
    old.socket.write('old');
    await echoed(old, 3);
    proxy.blackhole();
    old.socket.write('held');
    const fresh = client();
    await once(fresh.socket, 'connect');
    fresh.socket.end('fresh');
    // Nothing can be waited for here: bytes that pass wrongly would do so within microseconds.
    await systemClock.sleep(100);
    expect(echo.received().toString()).toBe('old');
    expect([old.ending(), fresh.ending()]).toEqual([undefined, undefined]);
    await proxy.restore();
    await echoed(old, 7);
    await echoed(fresh, 5);
  });

  test('delays each direction by what it was told', async () => {
    proxy.setDelay(150);
    const one = client();
    await once(one.socket, 'connect');
    const startedAt = systemClock.now();
    one.socket.write('slow');
    await echoed(one, 4);
    expect(systemClock.now() - startedAt).toBeGreaterThanOrEqual(290);
    proxy.setDelay(60_000, 'down');
    proxy.setDelay(0, 'up');
    one.socket.write('fast up');
    await until('the way up to be fast', stepMsMax, () => echo.received().length === 11);
    expect(one.received().toString()).toBe('slow');
  });

  test('cuts in the middle of a request, once', async () => {
    proxy.cutAfterBytes(1000);
    const one = client();
    one.socket.write(Buffer.alloc(4000));
    await ended(one, 'ECONNRESET');
    expect(proxy.bytesUp).toBe(1000);
    expect(proxy.cuts).toBe(1);
    const next = client();
    next.socket.write(Buffer.alloc(4000));
    await echoed(next, 4000);
  });

  test('cuts between a request and its answer', async () => {
    proxy.cutAfterBytes(0, 'down');
    const one = client();
    one.socket.write('question');
    await ended(one, 'ECONNRESET');
    expect(echo.received().toString()).toBe('question');
    expect(proxy.bytesDown).toBe(0);
  });

  test('that flaps works once the flapping is over', async () => {
    const random = seededRandom(seedOfRun());
    const over = new AbortController();
    const flapping = flap(proxy, random, { upMsMax: 20, downMsMax: 20 }, over.signal);
    await until('five cuts', stepMsMax, () => proxy.cuts >= 5);
    over.abort();
    await flapping;
    const one = client();
    one.socket.write('calm');
    await echoed(one, 4);
  });
});

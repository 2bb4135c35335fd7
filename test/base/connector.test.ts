import type { lookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import { type Connector, createConnector, NeverConnectedError } from '../../base/connector.ts';
import { startDeafListener } from '../tools/deaf-listener.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const GOOD = '127.0.0.1';
const DEAF = '127.0.0.2';
const ATTEMPT_MS = 400;

/** Every name has these addresses, in this order. */
function resolver(...addresses: string[]): typeof lookup {
  const list = addresses.map((address) => ({ address, family: 4 }));
  const resolve = (_name: string, _options: object, callback: (...found: unknown[]) => void) =>
    setImmediate(callback, null, list);
  return resolve as unknown as typeof lookup;
}

async function listen(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, GOOD, resolve));
  open.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Connected {
  socket: Socket;
  /** Addresses in the order of the attempts. */
  attempts: string[];
  ms: number;
}

async function connect(connector: Connector, target: string): Promise<Connected> {
  const { protocol, hostname, port } = new URL(target);
  const attempts: string[] = [];
  const startMs = performance.now();
  const socket = await new Promise<Socket>((resolve, reject) => {
    connector(
      { protocol, hostname, port },
      (error, opened) => (error === null ? resolve(opened!) : reject(error)),
      (tcp) => tcp.on('connectionAttempt', (address) => attempts.push(address)),
    );
  });
  open.push(() => socket.destroy());
  return { socket, attempts, ms: performance.now() - startMs };
}

describe('of a name with several addresses', () => {
  test('each gets its time, and one that did not answer is tried last from then on', async () => {
    const port = await listen();
    const deaf = await startDeafListener(DEAF, port);
    open.push(() => deaf.close());
    const resolve = resolver(DEAF, GOOD);
    const connector = createConnector({ attemptLimitMs: () => ATTEMPT_MS, resolve });
    const first = await connect(connector, `http://hub:${port}`);
    expect(first.attempts).toEqual([DEAF, GOOD]);
    // Node's own limit is 250 ms.
    expect(first.ms).toBeGreaterThan(ATTEMPT_MS - 10);
    const second = await connect(connector, `http://hub:${port}`);
    expect(second.attempts).toEqual([GOOD]);
  });

  test('none may answer: then it ends after the time of all of them', async () => {
    const deaf = await startDeafListener(DEAF);
    open.push(() => deaf.close());
    const resolve = resolver(DEAF, DEAF);
    const connector = createConnector({ attemptLimitMs: () => ATTEMPT_MS, resolve });
    const startMs = performance.now();
    const error = await connect(connector, `http://hub:${deaf.port}`).catch((reason) => reason);
    expect(error).toBeInstanceOf(NeverConnectedError);
    expect(error).toMatchObject({ code: 'ETIMEDOUT' });
    expect(performance.now() - startMs).toBeGreaterThan(2 * ATTEMPT_MS - 20);
  });

  test('all may refuse: the error names each', async () => {
    const resolve = resolver(GOOD, DEAF);
    const connector = createConnector({ attemptLimitMs: () => ATTEMPT_MS, resolve });
    const error = await connect(connector, 'http://hub:9').catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(error.message).toContain('hub:9');
    for (const address of [GOOD, DEAF]) expect(error.message).toContain(address);
  });
});

test('an address that does not answer is given up after its time, without a name as well', async () => {
  const deaf = await startDeafListener(DEAF);
  open.push(() => deaf.close());
  const connector = createConnector({ attemptLimitMs: () => 100 });
  const error = await connect(connector, `http://${DEAF}:${deaf.port}`).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ETIMEDOUT' });
  expect(error.message).toContain('within 100 ms');
});

test('a peer that is silent in the TLS handshake is given up as well', async () => {
  const port = await listen();
  const connector = createConnector({ attemptLimitMs: () => 50 });
  const error = await connect(connector, `https://${GOOD}:${port}`).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ETIMEDOUT' });
});

test('a TLS session is resumed, whatever the garbage collector does', async () => {
  const pem = (name: string) =>
    readFileSync(new URL(`../fixtures/loopback.${name}`, import.meta.url), 'utf8');
  const reused: boolean[] = [];
  const server = createTlsServer({ cert: pem('crt'), key: pem('key') }, (socket) => {
    reused.push(socket.isSessionReused());
    socket.on('error', () => {}).write('x');
  });
  await new Promise<void>((resolve) => server.listen(0, GOOD, resolve));
  open.push(() => server.close());
  const url = `https://${GOOD}:${(server.address() as AddressInfo).port}`;
  const connector = createConnector({ attemptLimitMs: () => 5000, caPem: pem('crt') });
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  for (let round = 0; round < 2; round++) {
    const { socket } = await connect(connector, url);
    // The tickets come before the first byte.
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  expect(reused).toEqual([false, true]);
});

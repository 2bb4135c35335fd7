import { once } from 'node:events';
import * as net from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { readBody } from '../../base/http-body.ts';
import { type Route, sendEmpty, startHttpServer } from '../../base/http-server.ts';

async function start(route: Route) {
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: [route],
    log: pino({ level: 'silent' }),
    headerTimeoutMs: 100,
    requestTimeoutMs: 100,
    connectionAgeMaxMs: 60_000,
    connectionsMax: 100,
  });
  onTestFinished(() => server.close(0));
  return server;
}

test('a request under way may take as long as a reload says', async () => {
  const server = await start({
    method: 'POST',
    path: '/',
    handle: async (request, response) => {
      const { kind } = await readBody(request, { bytesMax: 100, timeoutMs: 20_000 });
      sendEmpty(response, kind === 'body' ? 204 : 400);
    },
  });
  const socket = net.connect(server.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n1');
  await once(socket, 'connect');
  server.setLimits({ requestTimeoutMs: 20_000, connectionAgeMaxMs: 60_000 });
  // The server looks once a second.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  socket.write('23');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toContain('204');
});

test('connections end at the age that a reload says', async () => {
  const server = await start({
    method: 'GET',
    path: '/',
    handle: async (_request, response) => sendEmpty(response, 204),
  });
  const connectionOf = async () => (await fetch(server.url)).headers.get('connection');
  expect(await connectionOf()).toBe('keep-alive');
  server.setLimits({ requestTimeoutMs: 100, connectionAgeMaxMs: 0 });
  expect(await connectionOf()).toBe('close');
});

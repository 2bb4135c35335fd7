import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { type Body, type BodyLimits, readBody } from '../../base/http-body.ts';
import {
  type HttpServer,
  type HttpServerOptions,
  type Route,
  sendEmpty,
  sendText,
  startHttpServer,
} from '../../base/http-server.ts';
import { until } from '../tools/until.ts';

const silent = pino({ level: 'silent' });
const servers: HttpServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(0)));
});

async function start(routes: Route[], options: Partial<HttpServerOptions> = {}) {
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes,
    log: silent,
    headerTimeoutMs: 5000,
    requestTimeoutMs: 10_000,
    connectionAgeMaxMs: 60_000,
    connectionsMax: 100,
    ...options,
  });
  servers.push(server);
  return server;
}

const hello: Route = {
  method: 'GET',
  path: '/hello',
  handle: async (_request, response) => sendText(response, 200, 'hello\n'),
};

/** Bodies as the handler saw them, and a route that answers 413, 408 or 204 accordingly. */
function bodySink(limits: BodyLimits) {
  const bodies: Body[] = [];
  const handle: Route['handle'] = async (request, response) => {
    const body = await readBody(request, limits);
    bodies.push(body);
    if (body.kind === 'too_large') sendText(response, 413, 'too large\n');
    if (body.kind === 'timed_out') sendText(response, 408, 'too slow\n');
    if (body.kind === 'body') sendEmpty(response, 204);
  };
  return { bodies, route: { method: 'POST', path: '/sink', handle } };
}

/** A raw connection, because fetch hides what the wire does. */
async function connect(server: HttpServer) {
  const socket = net.connect(server.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return {
    socket,
    /** Everything received up to the end of the connection; rejects on a reset. */
    rest: async () => {
      await closed;
      return received;
    },
    /** Resolves as soon as what was received contains `text`. */
    until: async (text: string) => {
      while (!received.includes(text)) await once(socket, 'data');
      return received;
    },
  };
}

describe('routing', () => {
  test('an unknown path is 404, another method 405 with Allow, HEAD goes where GET goes', async () => {
    const { url } = await start([hello]);
    expect((await fetch(`${url}/hello?x=1`)).status).toBe(200);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    const refused = await fetch(`${url}/hello`, { method: 'POST' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET']);
    const head = await fetch(`${url}/hello`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('a route for every method judges the method itself', async () => {
    const any: Route = {
      method: '*',
      path: '/any',
      handle: async (request, response) => sendText(response, 200, request.method ?? ''),
    };
    const { url } = await start([any]);
    expect(await (await fetch(`${url}/any`, { method: 'PUT' })).text()).toBe('PUT');
  });

  test('a handler that throws is answered 500 and the server goes on', async () => {
    const broken: Route = {
      method: 'GET',
      path: '/broken',
      handle: () => Promise.reject(new Error('bug')),
    };
    const { url } = await start([broken, hello]);
    expect((await fetch(`${url}/broken`)).status).toBe(500);
    expect((await fetch(`${url}/hello`)).status).toBe(200);
  });

  test('an address in use is one readable error', async () => {
    const { port } = await start([hello]);
    await expect(start([hello], { listen: { host: '127.0.0.1', port } })).rejects.toThrow(
      /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
  });
});

describe('connections', () => {
  test('a young connection is kept, an old one ends with its next answer', async () => {
    const { url } = await start([hello], { connectionAgeMaxMs: 60 });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const get = async () => {
      const request = http.get(`${url}/hello`, { agent });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      response.resume();
      await once(response, 'end');
      return { connection: response.headers.connection, port: request.socket?.localPort };
    };
    const first = await get();
    expect(first.connection).toBe('keep-alive');
    let last = await get();
    const deadline = performance.now() + 5000;
    while (last.connection !== 'close' && performance.now() < deadline) last = await get();
    expect(last).toEqual({ connection: 'close', port: first.port });
    expect((await get()).port).not.toBe(first.port);
    agent.destroy();
  });

  test('a lean server sends no header that the client does not need', async () => {
    const server = await start([hello], { lean: true });
    const client = await connect(server);
    client.socket.write('GET /hello HTTP/1.1\r\nHost: x\r\n\r\n');
    const answer = await client.until('hello\n');
    expect(answer).toBe(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n' +
        'Content-Length: 6\r\n\r\nhello\n',
    );
    client.socket.write('GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect((await client.rest()).slice(answer.length)).toContain('hello');
  });

  test('closing lets the exchange in progress finish and cuts idle connections at once', async () => {
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const slow: Route = {
      method: 'GET',
      path: '/slow',
      handle: async (_request, response) => {
        entered.resolve();
        await gate.promise;
        sendText(response, 200, 'done\n');
      },
    };
    const server = await start([slow, hello]);
    const idle = await connect(server);
    const busy = await connect(server);
    busy.socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await entered.promise;
    const closed = server.close(10_000);
    expect(await idle.rest()).toBe('');
    await expect(fetch(`${server.url}/hello`)).rejects.toThrow();
    gate.resolve();
    expect(await busy.rest()).toMatch(/Connection: close\r\n.*done\n$/s);
    await closed;
  });

  test('closing cuts what is not done by the deadline', async () => {
    const entered = Promise.withResolvers<void>();
    const handle = () => {
      entered.resolve();
      return new Promise<void>(() => {});
    };
    const never: Route = { method: 'GET', path: '/never', handle };
    const server = await start([never]);
    const client = await connect(server);
    client.socket.write('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    await entered.promise;
    const closed = server.close(50);
    expect(await client.rest()).toBe('');
    await closed;
  });
});

describe('TLS', () => {
  const fixture = (name: string) =>
    readFileSync(new URL(`../fixtures/loopback.${name}`, import.meta.url), 'utf8');
  const tls = { certPem: fixture('crt'), keyPem: fixture('key') };

  test('carries requests for a client that trusts the certificate', async () => {
    const { url } = await start([hello], { tls });
    const request = https.get(`${url}/hello`, { ca: tls.certPem, agent: false });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const [body] = await once(response, 'data');
    expect([url.startsWith('https:'), String(body)]).toEqual([true, 'hello\n']);
  });

  test('cuts a connection whose handshake never comes', async () => {
    const server = await start([hello], { tls, headerTimeoutMs: 100 });
    const client = await connect(server);
    expect(await client.rest()).toBe('');
  });

  test('closing cuts idle connections at once', async () => {
    const server = await start([hello], { tls });
    const agent = new https.Agent({ keepAlive: true, ca: tls.certPem });
    const request = https.get(`${server.url}/hello`, { agent });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    await once(response, 'end');
    const startedMs = performance.now();
    await server.close(20_000);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    agent.destroy();
  });
});

describe('a body', () => {
  test('arrives whole, with a declared length and in chunks', async () => {
    const { bodies, route } = bodySink({ bytesMax: 10, timeoutMs: 5000 });
    const { url } = await start([route]);
    const declared = await fetch(`${url}/sink`, { method: 'POST', body: '0123456789' });
    const chunks = new Blob(['01234', '56789']).stream();
    const chunked = await fetch(`${url}/sink`, { method: 'POST', body: chunks, duplex: 'half' });
    const empty = await fetch(`${url}/sink`, { method: 'POST' });
    expect([declared.status, chunked.status, empty.status]).toEqual([204, 204, 204]);
    expect(bodies.map((body) => body.kind === 'body' && body.bytes.toString())).toEqual([
      '0123456789',
      '0123456789',
      '',
    ]);
  });

  test('over the limit by its declared length is refused before a byte of it has come', async () => {
    const { bodies, route } = bodySink({ bytesMax: 10, timeoutMs: 5000 });
    const client = await connect(await start([route]));
    client.socket.write('POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n');
    expect(await client.until('too large\n')).toMatch(/^HTTP\/1.1 413 .*Connection: close/s);
    expect(bodies).toEqual([{ kind: 'too_large', bytesMax: 10 }]);
    client.socket.end();
  });

  test('over the limit in chunks is refused while it is still coming', async () => {
    const { bodies, route } = bodySink({ bytesMax: 10, timeoutMs: 5000 });
    const client = await connect(await start([route]));
    client.socket.write('POST /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    client.socket.write('b\r\n01234567890\r\n');
    expect(await client.until('too large\n')).toMatch(/^HTTP\/1.1 413 .*Connection: close/s);
    expect(bodies).toEqual([{ kind: 'too_large', bytesMax: 10 }]);
    client.socket.end();
  });

  test('a client that sends everything before it reads still gets the refusal', async () => {
    const { route } = bodySink({ bytesMax: 10, timeoutMs: 5000 });
    const client = await connect(await start([route]));
    const length = 20_000_000;
    client.socket.pause();
    client.socket.write(`POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    await new Promise((resolve) => client.socket.write(Buffer.alloc(length), resolve));
    client.socket.resume();
    expect(await client.rest()).toMatch(/^HTTP\/1.1 413 .*too large\n$/s);
  });

  test('that trickles without end times out at the absolute deadline', async () => {
    const { bodies, route } = bodySink({ bytesMax: 1000, timeoutMs: 100 });
    const client = await connect(await start([route]));
    client.socket.write('POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
    const trickle = setInterval(() => client.socket.write('x'), 10);
    expect(await client.until('too slow\n')).toMatch(/^HTTP\/1.1 408 .*Connection: close/s);
    clearInterval(trickle);
    client.socket.end();
    expect(bodies).toEqual([{ kind: 'timed_out' }]);
  });

  test('may trickle for long, but not fall silent', async () => {
    const { bodies, route } = bodySink({ bytesMax: 1000, timeoutMs: 60_000, silenceMs: 700 });
    const client = await connect(await start([route]));
    const startMs = performance.now();
    client.socket.write('POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
    const trickle = setInterval(() => client.socket.write('x'), 20);
    await until('more than the silence', 5000, () => performance.now() - startMs > 1000);
    clearInterval(trickle);
    expect(bodies).toEqual([]);
    expect(await client.until('too slow\n')).toMatch(/^HTTP\/1.1 408 /);
    client.socket.end();
  });

  test('of a client that goes away is reported as aborted', async () => {
    const aborted = Promise.withResolvers<Body>();
    const route: Route = {
      method: 'POST',
      path: '/sink',
      handle: async (request) =>
        aborted.resolve(await readBody(request, { bytesMax: 1000, timeoutMs: 5000 })),
    };
    const client = await connect(await start([route]));
    client.socket.write('POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf');
    client.socket.resetAndDestroy();
    expect(await aborted.promise).toEqual({ kind: 'aborted' });
  });

  test('that nobody reads does not cost a small request its connection', async () => {
    const refuse: Route = {
      method: 'POST',
      path: '/refuse',
      handle: async (_request, response) => sendText(response, 401, 'who are you\n'),
    };
    const client = await connect(await start([refuse, hello]));
    client.socket.write('POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody');
    await client.until('who are you\n');
    client.socket.write('GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await client.rest()).toMatch(/ 401 .* 200 OK.*hello\n$/s);
  });

  test('that nobody reads ends the connection of a large request', async () => {
    const refuse: Route = {
      method: 'POST',
      path: '/refuse',
      handle: async (_request, response) => sendText(response, 401, 'who are you\n'),
    };
    const client = await connect(await start([refuse]));
    client.socket.write('POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n');
    expect(await client.until('who are you\n')).toContain('Connection: close');
    client.socket.end();
  });
});

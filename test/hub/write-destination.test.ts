import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Destination, type DestinationOptions } from '../../hub/write/destination.ts';
import type { PostResult } from '../../hub/write/post.ts';
import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';
import { startDeafListener } from '../tools/deaf-listener.ts';

const open: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ url: string; server: Server }> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

function destinationAt(url: string, options: Partial<DestinationOptions> = {}): Destination {
  const destination = new Destination({
    url: `${url}/api/v1/push?x=1`,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 5000,
    connectTimeoutMs: 5000,
    inFlightMax: 2,
    version: '1.2.3',
    ...options,
  });
  open.push(() => destination.close());
  return destination;
}

interface PostOptions {
  tenant?: string;
  protocol?: WriteProtocol;
  attempt?: number;
  signal?: AbortSignal;
}

function post(destination: Destination, options: PostOptions = {}) {
  const { tenant = 'a', protocol = 'v1', attempt = 0 } = options;
  const { signal = new AbortController().signal } = options;
  return destination.post({ tenant, protocol, body: Buffer.from('body'), attempt, signal });
}

function kindOf(result: PostResult) {
  if (result.kind === 'answer') return `answer ${result.status}`;
  return `failed, timed out: ${result.timedOut}, may have arrived: ${result.mayHaveArrived}`;
}

describe('the destination', () => {
  it('is sent what the specification of remote write asks for', async () => {
    const received: IncomingMessage[] = [];
    const { url } = await serve((request, response) => {
      received.push(request);
      request.resume().once('end', () => response.end());
    });
    const authorization = 'Bearer secret';
    const destination = destinationAt(url, { authorization });
    expect(await post(destination)).toEqual({ kind: 'answer', status: 200, headers: {}, body: '' });
    await post(destination, { attempt: 3 });
    expect(received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /api/v1/push?x=1',
      'POST /api/v1/push?x=1',
    ]);
    expect(received[0]?.headers).toMatchObject({
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'content-length': '4',
      'x-prometheus-remote-write-version': '0.1.0',
      'user-agent': 'starferry/1.2.3',
      'x-scope-orgid': 'a',
      authorization,
    });
    expect(received.map(({ headers }) => headers['retry-attempt'])).toEqual([undefined, '3']);
  });

  it('is told the version of what it is sent, without a blank', async () => {
    const received: IncomingMessage[] = [];
    const { url } = await serve((request, response) => {
      received.push(request);
      request.resume().once('end', () => response.end());
    });
    await post(destinationAt(url), { protocol: 'v2' });
    expect(received[0]?.headers).toMatchObject({
      'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'x-prometheus-remote-write-version': '2.0.0',
    });
  });

  it('says how much it has written, in headers of which one is enough', async () => {
    const answers = [
      { 'X-Prometheus-Remote-Write-Samples-Written': '2' },
      {
        'X-Prometheus-Remote-Write-Samples-Written': '2',
        'X-Prometheus-Remote-Write-Histograms-Written': '8',
        'X-Prometheus-Remote-Write-Exemplars-Written': '3',
      },
      { 'X-Prometheus-Remote-Write-Samples-Written': 'two' },
      {},
    ];
    let at = 0;
    const { url } = await serve((_request, response) => {
      response.writeHead(204, answers[at++]).end();
    });
    const destination = destinationAt(url);
    const results = [];
    for (const _ of answers) results.push(await post(destination, { protocol: 'v2' }));
    expect(results.map((result) => result.kind === 'answer' && result.headers.written)).toEqual([
      2,
      13,
      undefined,
      undefined,
    ]);
  });

  it('answers with status, Retry-After and message', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(503, { 'retry-after': '7' }).end('too many inflight push requests\n');
    });
    expect(await post(destinationAt(url))).toEqual({
      kind: 'answer',
      status: 503,
      headers: { retryAfter: '7' },
      body: 'too many inflight push requests\n',
    });
  });

  it('may answer with an endless message: it is cut, and the next request is served', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(400);
      const write = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
      };
      response.on('drain', write);
      write();
    });
    const destination = destinationAt(url);
    for (let n = 0; n < 3; n++) {
      const result = await post(destination);
      expect(kindOf(result)).toBe('answer 400');
      expect(result.kind === 'answer' && result.body.length).toBe(64 * 1024);
    }
  });

  it('has answered once its status is here, whatever happens to the message', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(400, { 'content-length': '100' });
      response.write('out of order');
      setImmediate(() => response.destroy());
    });
    const result = await post(destinationAt(url));
    expect(result).toMatchObject({ kind: 'answer', status: 400, body: 'out of order' });
  });

  it('times out when it never answers', async () => {
    const { url } = await serve(() => {});
    const result = await post(destinationAt(url, { timeoutMs: 50 }));
    expect(kindOf(result)).toBe('failed, timed out: true, may have arrived: true');
  });

  it('may have stored what was sent when the connection breaks', async () => {
    const { url } = await serve((request) => {
      request.resume().once('end', () => request.socket.destroy());
    });
    const result = await post(destinationAt(url));
    expect(kindOf(result)).toBe('failed, timed out: false, may have arrived: true');
  });

  it('cannot have stored anything when nobody listens', async () => {
    const { url, server } = await serve(() => {});
    await new Promise((resolve) => server.close(resolve));
    const result = await post(destinationAt(url));
    expect(kindOf(result)).toBe('failed, timed out: false, may have arrived: false');
  });

  it('cannot have stored anything where no connection stands, whatever the request may take', async () => {
    const deaf = await startDeafListener('127.0.0.2');
    open.push(() => deaf.close());
    const url = `http://127.0.0.2:${deaf.port}`;
    const result = await post(destinationAt(url, { timeoutMs: 50, connectTimeoutMs: 200 }));
    expect(kindOf(result)).toBe('failed, timed out: false, may have arrived: false');
    expect(result).toMatchObject({ message: expect.stringContaining('within 200 ms') });
  });

  it('has at most inFlightMax in flight; the time limit starts after the wait', async () => {
    let inFlight = 0;
    let inFlightMax = 0;
    const { url } = await serve((_request, response) => {
      inFlight++;
      inFlightMax = Math.max(inFlightMax, inFlight);
      setTimeout(() => {
        inFlight--;
        response.end();
      }, 100);
    });
    const destination = destinationAt(url, { timeoutMs: 300 });
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, n) => post(destination, { tenant: `${n % 2}` })),
    );
    expect(results.map(kindOf)).toEqual(results.map(() => 'answer 200'));
    expect(inFlightMax).toBe(2);
  });

  it('takes what other tenants write while one is not answered', async () => {
    let isStuck = true;
    const stuck: ServerResponse[] = [];
    const { url } = await serve((request, response) => {
      if (isStuck && request.headers['x-scope-orgid'] === 'stuck') stuck.push(response);
      else response.end();
    });
    const destination = destinationAt(url, { inFlightMax: 8, timeoutMs: 10_000 });
    const hanging = Array.from({ length: 20 }, () => post(destination, { tenant: 'stuck' }));
    await expect.poll(() => stuck.length).toBe(6);
    for (const tenant of ['one', 'two', 'one', 'two']) {
      expect(kindOf(await post(destination, { tenant }))).toBe('answer 200');
    }
    expect(stuck).toHaveLength(6);
    isStuck = false;
    for (const response of stuck) response.end();
    expect((await Promise.all(hanging)).map(kindOf)).toEqual(hanging.map(() => 'answer 200'));
  });

  it('is given up at once when the signal says so, in flight or waiting', async () => {
    const controller = new AbortController();
    const { url } = await serve(() => controller.abort());
    const destination = destinationAt(url, { inFlightMax: 1 });
    const { signal } = controller;
    const results = await Promise.all([
      post(destination, { signal }),
      post(destination, { signal }),
    ]);
    expect(results.map(kindOf)).toEqual([
      'failed, timed out: false, may have arrived: true',
      'failed, timed out: false, may have arrived: false',
    ]);
  });

  it('is not followed to where it redirects', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(308, { location: '/elsewhere' }).end();
    });
    expect(kindOf(await post(destinationAt(url)))).toBe('answer 308');
  });
});

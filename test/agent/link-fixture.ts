import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { LinkConfig } from '../../agent/link-config.ts';
import { HubClient } from '../../agent/ship/hub-client.ts';
import { LinkBytes } from '../../agent/ship/link-bytes.ts';
import { LinkPacer } from '../../agent/ship/link-pacer.ts';
import type { Traffic } from '../../agent/ship/link-turns.ts';
import { PeerLimit } from '../../agent/ship/peer-limit.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { type Handler, sendBytes, startHttpServer } from '../../base/http-server.ts';
import { encodeAnswer } from '../../proto/answer.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { type Direction, startTcpProxy, type TcpProxy } from '../tools/tcp-proxy.ts';
import type { Workspace } from '../tools/workspace.ts';

/** A link without limits, but for those given. */
export function limits(some: Partial<LinkConfig>): LinkConfig {
  return { bytesPerSecondMax: 0, timeZone: 'UTC', overhead: 1, schedule: [], quotas: [], ...some };
}

const LAST_MS = 600_000;

/** A link that carries whatever it is given at once. */
export class PacedLink {
  readonly linkBytes = { up: 0, down: 0 };
  /** Parts of bodies as they went. */
  readonly sent: { atMs: number; traffic: Traffic; bytes: number }[] = [];
  readonly lines: Record<string, unknown>[];
  readonly pacer: LinkPacer;
  readonly #clock: Clock;

  constructor(config: Partial<LinkConfig>, dataDir: string, clock: Clock) {
    const { log, lines } = memoryLog();
    const { linkBytes } = this;
    this.lines = lines;
    this.#clock = clock;
    this.pacer = new LinkPacer(limits(config), { linkBytes, dataDir, clock, log });
  }

  /** Sends a body; what comes on top of it goes with its first part. Resolves with the bytes sent. */
  async send(
    bytes: number,
    traffic: Traffic,
    { overheadBytes = 0, signal = new AbortController().signal } = {},
  ): Promise<number> {
    const pass = await this.pacer.begin(new Uint8Array(bytes), traffic, signal);
    if (pass === undefined) return 0;
    signal.addEventListener('abort', () => pass.end());
    const limit = new PeerLimit(LAST_MS);
    let sentBytes = 0;
    this.linkBytes.up += overheadBytes;
    for await (const part of pass.parts(limit)) {
      this.linkBytes.up += part.length;
      sentBytes += part.length;
      this.sent.push({ atMs: this.#clock.now(), traffic, bytes: part.length });
    }
    limit.end();
    pass.end();
    return sentBytes;
  }

  /** Bytes of bodies. */
  sentBytes(traffic: Traffic): number {
    return this.sent.reduce((sum, part) => sum + (part.traffic === traffic ? part.bytes : 0), 0);
  }
}

export interface Hub {
  /** What leads through the proxy. */
  url: string;
  proxy: TcpProxy;
  /** Bodies that arrived. */
  bodies: Buffer[];
}

export interface HubOptions {
  tls?: { certPem: string; keyPem: string } | undefined;
  /** Instead of reading the body and answering. */
  handle?: Handler;
}

/** Whatever arrives is answered for, behind a proxy that counts. */
export async function startTinyHub(
  workspace: Workspace,
  { tls, handle }: HubOptions = {},
): Promise<Hub> {
  const bodies: Buffer[] = [];
  const answer: Handler = async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()));
    const empty = { settlement: emptySettlement(), dictionaryOffset: 0, hubClockMs: 1 };
    sendBytes(response, 200, 'application/octet-stream', encodeAnswer(empty));
  };
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    routes: [{ method: 'POST', path: '/v1/batch', handle: handle ?? answer }],
    log: memoryLog().log,
    headerTimeoutMs: 5000,
    requestTimeoutMs: 600_000,
    connectionAgeMaxMs: 600_000,
    connectionsMax: 100,
  });
  const proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: server.port } });
  workspace.onClose(() => server.close(0));
  workspace.onClose(() => proxy.close());
  const scheme = tls === undefined ? 'http' : 'https';
  return { url: `${scheme}://127.0.0.1:${proxy.port}`, proxy, bodies };
}

/** Carries connections to a port, some of which stand and are dead. */
export interface Switch {
  url: string;
  /** Both ends of each connection so far: towards the client, and towards the port. */
  links: [near: Socket, far: Socket][];
  /** Those that there are never carry anything again in a direction. */
  stall(direction: Direction): void;
}

export async function startSwitch(workspace: Workspace, port: number): Promise<Switch> {
  const links: Switch['links'] = [];
  const server = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1' });
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => {});
    links.push([near, far]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  workspace.onClose(() => {
    for (const socket of links.flat()) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    links,
    stall(direction) {
      for (const [near, far] of links) {
        if (direction === 'up') near.unpipe(far).resume();
        else far.unpipe(near).resume();
      }
    },
  };
}

export interface ClientOptions {
  config?: Partial<LinkConfig>;
  caPem?: string | undefined;
  requestTimeoutMs?: number;
  connectTimeoutMs?: number;
}

/** A client as the agent makes it. */
export function connectTo(
  workspace: Workspace,
  url: string,
  { config = {}, caPem, requestTimeoutMs = 5000, connectTimeoutMs = 5000 }: ClientOptions = {},
): HubClient {
  const clock = systemClock;
  const linkBytes = new LinkBytes(limits(config).overhead);
  const { log } = memoryLog();
  const dataDir = workspace.folder;
  const pacer = new LinkPacer(limits(config), { linkBytes: linkBytes.ip, dataDir, clock, log });
  const client = new HubClient(
    {
      urls: [url],
      agentId: 'sg',
      token: 'x',
      caPem,
      requestTimeoutMs,
      connectTimeoutMs,
      connectionsMax: 8,
    },
    { clock, linkBytes, pacer, log },
  );
  workspace.onClose(() => client.close());
  return client;
}

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A name for tests that mock `node:dns`: what it stands for changes at any time. */
export const MOVING_NAME = 'moving.test';

/** Loopback addresses that two replicas of one service have. */
export const REPLICAS = ['127.0.0.1', '127.0.0.2'] as const;

export interface Replicas {
  port: number;
  /** What was asked, by the address that answered, in order. */
  asked: string[];
  /** Connections that stand, by address. */
  connections(address: (typeof REPLICAS)[number]): Promise<number>;
  close(): Promise<void>;
}

/** Servers at both addresses, on one port. */
export async function startReplicas(handle: RequestListener): Promise<Replicas> {
  const asked: string[] = [];
  const servers = REPLICAS.map((address) =>
    createServer((request, response) => {
      asked.push(address);
      handle(request, response);
    }),
  );
  let port = 0;
  for (const [at, server] of servers.entries()) {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, REPLICAS[at], resolve);
    });
    port = (server.address() as AddressInfo).port;
  }
  return {
    port,
    asked,
    connections: (address) =>
      new Promise((resolve, reject) => {
        const server = servers[REPLICAS.indexOf(address)]!;
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

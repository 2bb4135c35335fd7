import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';

/** Listens, and then never looks at its connections. */
const LISTENER = `
  const { createServer } = require('node:net');
  const { parentPort, workerData } = require('node:worker_threads');
  const server = createServer();
  server.listen({ ...workerData, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;
/** On loopback a handshake takes less, if there is one. */
const SILENCE_MS = 200;

export interface DeafListener {
  port: number;
  close(): Promise<void>;
}

/** An address of this machine where attempts to connect get no answer at all. */
export async function startDeafListener(host: string, port = 0): Promise<DeafListener> {
  const worker = new Worker(LISTENER, { eval: true, workerData: { host, port } });
  const listening = await new Promise<number>((resolve) => worker.once('message', resolve));
  const fillers: Socket[] = [];
  // The kernel accepts a few by itself before it drops packets.
  for (let isFull = false; !isFull; ) {
    const filler = connect({ host, port: listening }).on('error', () => {});
    fillers.push(filler);
    isFull = await Promise.race([
      once(filler, 'connect').then(() => false),
      systemClock.sleep(SILENCE_MS).then(() => true),
    ]);
  }
  return {
    port: listening,
    async close() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'vitest';
import { unacknowledgedBytes } from '../../agent/ship/send-queue.ts';
import { until } from '../tools/until.ts';

/** More than the kernel takes for a reader that does not read. */
const BYTES = 24 * 2 ** 20;
const PATIENCE_MS = 5000;

test('all that was written and not acknowledged counts, wherever it waits', async () => {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepting = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  const [accepted] = await accepting;
  socket.write(Buffer.alloc(BYTES));
  // The other end's kernel has acknowledged as much as it has room for.
  await until('the write', PATIENCE_MS, () => (unacknowledgedBytes(socket) ?? 0) > BYTES / 2);
  accepted.resume();
  await until('the end', PATIENCE_MS, () => unacknowledgedBytes(socket) === 0);
  socket.destroy();
  server.close();
});

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** A table of some thousand connections is not read for each of ours. */
const READ_EVERY_MS = 100;
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];

let table = '';
let readAtMs = Number.NEGATIVE_INFINITY;

/** Node counts a write as a whole when it is through; libuv knows how much of it is left. */
interface HandleOwner {
  _handle?: { writeQueueSize?: number } | null;
}

/**
 * Bytes that were written to a connection and that the other end has not acknowledged: in the
 * kernel, and before it while the kernel has no room, when its own part hardly changes; undefined
 * where the kernel does not tell. Linux: `tx_queue` in proc_net_tcp(5).
 */
export function unacknowledgedBytes(socket: Socket): number | undefined {
  const { localPort, remotePort } = socket;
  if (localPort === undefined || remotePort === undefined) return undefined;
  // "sl: local:port remote:port st tx_queue:rx_queue ...", all in hexadecimal.
  const [local, remote] = [localPort, remotePort].map((port) => hex(port));
  const line = new RegExp(`:${local} [0-9A-F]+:${remote} 0[1-9A-F] ([0-9A-F]{8}):`).exec(read());
  if (line === null) return undefined;
  const before = (socket as unknown as HandleOwner)._handle?.writeQueueSize ?? 0;
  return before + Number.parseInt(line[1]!, 16);
}

/** Whether the kernel tells. */
export function isAcknowledgementKnown(): boolean {
  return read().length > TABLES.length;
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function read(): string {
  const nowMs = performance.now();
  if (Math.abs(nowMs - readAtMs) < READ_EVERY_MS) return table;
  readAtMs = nowMs;
  table = TABLES.map(readTable).join('\n');
  return table;
}

/** Empty where there is none. */
function readTable(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

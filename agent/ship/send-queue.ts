import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** A table of some thousand connections is not read for each of ours. */
const READ_EVERY_MS = 100;
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];

let table = '';
let readAtMs = Number.NEGATIVE_INFINITY;

/**
 * Bytes of a connection that its kernel holds because the other end has not acknowledged them;
 * undefined where the kernel does not tell. Linux: `tx_queue` in proc_net_tcp(5).
 */
export function unacknowledgedBytes({ localPort, remotePort }: Socket): number | undefined {
  if (localPort === undefined || remotePort === undefined) return undefined;
  // "sl: local:port remote:port st tx_queue:rx_queue ...", all in hexadecimal.
  const [local, remote] = [localPort, remotePort].map((port) => hex(port));
  const line = new RegExp(`:${local} [0-9A-F]+:${remote} 0[1-9A-F] ([0-9A-F]{8}):`).exec(read());
  return line === null ? undefined : Number.parseInt(line[1]!, 16);
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

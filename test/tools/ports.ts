import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the range from which Linux takes ports for outgoing connections (32768 up). */
const portMin = 20_000;
const portMax = 32_000;
const attemptsMax = 100;

const given = new Set<number>();

/**
 * A port of 127.0.0.1 on which nobody listens, never given twice by this process. Drawn at random
 * from a range that outgoing connections do not use, so that it stays free until it is used, also
 * while a server on it is down between two starts.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = randomInt(portMin, portMax);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port between ${portMin} and ${portMax} in ${attemptsMax} attempts`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}

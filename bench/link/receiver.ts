import { createServer, type IncomingMessage } from 'node:http';
import { zstdDecompressSync } from 'node:zlib';
import { systemClock } from '../../base/clock.ts';
import { readBody } from '../../base/http-body.ts';
import { WriteRequestWalker } from '../../proto/remote-write/walker-1.ts';
import { PartialWriteWalker } from '../../proto/remote-write/walker-2.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../../proto/snappy.ts';
import type { Arrivals } from './arrivals.ts';

const BODY_BYTES_MAX = 64 << 20;
/** A body may take minutes on these links, and no sender is to be judged by our patience. */
const BODY_MS_MAX = 900_000;
/** As long as the hub keeps connections. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Takes remote write 1.0, compressed with snappy or, as vmagent does among its kind, with zstd, and
 * remote write 2.0. Everything is accepted and compared.
 */
export async function startReceiver(port: number, arrivals: Arrivals): Promise<void> {
  const take = new Intake(arrivals);
  const server = createServer((request, response) => {
    void readBody(request, { bytesMax: BODY_BYTES_MAX, timeoutMs: BODY_MS_MAX }).then((body) => {
      if (body.kind !== 'body') return response.writeHead(400).end();
      try {
        return response.writeHead(204, take.body(request, body.bytes)).end();
      } catch (error) {
        return response.writeHead(400).end(String(error));
      }
    });
  });
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
}

class Intake {
  readonly #arrivals: Arrivals;
  readonly #walker1 = new WriteRequestWalker();
  readonly #walker2 = new PartialWriteWalker();

  constructor(arrivals: Arrivals) {
    this.#arrivals = arrivals;
  }

  /** @returns the headers of the answer. @throws Error for a body that cannot be read */
  body({ headers }: IncomingMessage, body: Uint8Array): Record<string, string> {
    const bytes = decompress(headers['content-encoding'], body);
    const isVersion2 = (headers['content-type'] ?? '').includes('io.prometheus.write.v2.Request');
    const [arrivals, nowMs] = [this.#arrivals, systemClock.now()];
    let series = -1;
    let samples = 0;
    const sink = {
      series: (source: Uint8Array, from: number, to: number) => {
        series = arrivals.series(source, from, to);
      },
      sample: (timestamp: number, low: number, high: number) => {
        samples++;
        arrivals.sample(series, timestamp, [low, high], nowMs);
      },
      metadata: () => {},
      histogram: () => {},
      exemplar: () => {},
      malformedSeries: (message: string) => {
        throw new Error(message);
      },
      malformedExemplar: () => {},
    };
    if (isVersion2) this.#walker2.walk(bytes, bytes.length, sink);
    else this.#walker1.walk(bytes, bytes.length, sink);
    // Without them a sender of 2.0 takes this for a receiver of 1.0, and everything for lost.
    return isVersion2 ? { 'X-Prometheus-Remote-Write-Samples-Written': String(samples) } : {};
  }
}

function decompress(encoding: string | undefined, body: Uint8Array): Uint8Array {
  if (encoding === 'zstd') return zstdDecompressSync(body, { maxOutputLength: BODY_BYTES_MAX });
  const bytes = new Uint8Array(Math.min(snappyDeclaredBytes(body), BODY_BYTES_MAX));
  decodeSnappy(body, bytes);
  return bytes;
}

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBody } from '../base/http-body.ts';
import { WriteRequestWalker } from '../proto/remote-write/walker-1.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../proto/snappy.ts';
import type { SeriesDigests } from './series-digests.ts';

const BODY_BYTES_MAX = 16 << 20;

export interface DigestingDestination {
  url: string;
  close(): Promise<void>;
}

/**
 * Takes remote write 1.0 and keeps nothing but digests, so that it holds any number of samples.
 *
 * @param onSample told of each sample as well
 */
export async function startDigestingDestination(
  digests: SeriesDigests,
  onSample: (series: number, timestamp: number) => void = () => {},
): Promise<DigestingDestination> {
  const walker = new WriteRequestWalker();
  const decoded = new Uint8Array(BODY_BYTES_MAX);
  let series = -1;
  const sink = {
    series: (bytes: Uint8Array, from: number, to: number) => {
      series = digests.series(bytes, from, to);
    },
    sample: (timestamp: number, bitsLow: number, bitsHigh: number) => {
      digests.add(series, timestamp, bitsLow, bitsHigh);
      onSample(series, timestamp);
    },
    metadata: () => {},
    histogram: () => {},
    exemplar: () => {},
  };
  const server = createServer((request, response) => {
    void readBody(request, { bytesMax: BODY_BYTES_MAX, timeoutMs: 30_000 }).then((body) => {
      if (body.kind === 'body') {
        decodeSnappy(body.bytes, decoded);
        walker.walk(decoded, snappyDeclaredBytes(body.bytes), sink);
      }
      response.writeHead(body.kind === 'body' ? 200 : 400).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/api/v1/push`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

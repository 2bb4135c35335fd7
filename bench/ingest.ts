import { ParsedRequest } from '../agent/ingest/parsed-request.ts';
import { SeriesTable } from '../agent/series/series-table.ts';
import { WriteRequestWalker } from '../proto/remote-write-in.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../proto/snappy.ts';
import { nodeMix15s, readCapture } from './capture.ts';

const ROUNDS = 8;
const BODY_BYTES_MAX = 4 << 20;

/** Samples per second and core from a remote write 1.0 body to columns with series ids. */
export async function run(): Promise<void> {
  const requests = readCapture(nodeMix15s);
  const table = new SeriesTable({ seriesMax: 1_000_000 });
  const tenant = table.tenant('');
  const walker = new WriteRequestWalker();
  const decoded = new Uint8Array(BODY_BYTES_MAX);
  console.log('ingest: node-mix-15s, body to columns, M samples/s');
  for (let round = 0; round < ROUNDS; round++) {
    let samples = 0;
    let snappyMs = 0;
    const startedMs = performance.now();
    for (const { body } of requests) {
      const parsed = new ParsedRequest(table, tenant, { capacity: 2048, newestMs: Infinity });
      const decodeMs = performance.now();
      decodeSnappy(body, decoded);
      snappyMs += performance.now() - decodeMs;
      walker.walk(decoded, snappyDeclaredBytes(body), parsed);
      samples += parsed.columns.count;
    }
    const wholeMs = performance.now() - startedMs;
    // The first round also pays for compiling and for every series being new.
    const name = round === 0 ? 'first round' : `round ${round + 1}`;
    const rate = (ms: number) => (samples / ms / 1000).toFixed(2);
    console.log(`  ${name}: ${rate(wholeMs)} (snappy alone ${rate(snappyMs)})`);
  }
}

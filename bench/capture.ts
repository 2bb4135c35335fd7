import { readFileSync } from 'node:fs';
import { constants, zstdDecompressSync } from 'node:zlib';

/** One request of a capture. */
export interface CapturedRequest {
  /** Milliseconds since the Unix epoch. */
  arrivedAtMs: number;
  /** Snappy-compressed prometheus.WriteRequest, as it came. */
  body: Buffer;
}

/**
 * Real remote write 1.0 traffic: 381 requests, 532,777 samples of about 7,000 series in 20 minutes,
 * about 84 % of them equal to their predecessor.
 */
export const nodeMix15s = new URL('./data/node-mix-15s.rwcap.zst', import.meta.url);

/**
 * Reads a capture: a zstd frame with a long window around records of
 * u32 body length, f64 arrival time, body; little-endian.
 */
export function readCapture(file: URL): CapturedRequest[] {
  const bytes = zstdDecompressSync(readFileSync(file), {
    params: { [constants.ZSTD_d_windowLogMax]: 27 },
  });
  const requests: CapturedRequest[] = [];
  let at = 0;
  while (at < bytes.length) {
    const bodyBytes = bytes.readUInt32LE(at);
    const arrivedAtMs = bytes.readDoubleLE(at + 4);
    const body = bytes.subarray(at + 12, at + 12 + bodyBytes);
    requests.push({ arrivedAtMs, body });
    at += 12 + bodyBytes;
  }
  return requests;
}

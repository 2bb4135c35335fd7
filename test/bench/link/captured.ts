import { CapturedSamples } from '../../../bench/captured-samples.ts';
import { labelSet } from '../../../proto/label-set.ts';
import { WriteRequestEncoder } from '../../../proto/remote-write/encoder-1.ts';

/** Milliseconds since the Unix epoch at which these captures begin. */
export const CAPTURED_AT_MS = 1_700_000_000_000;

/** A capture of the series `m{n="0"}` and on, each with samples at these moments in ms. */
export function captured(momentsOfSeries: readonly (readonly number[])[]): CapturedSamples {
  const encoder = new WriteRequestEncoder();
  momentsOfSeries.forEach((moments, n) => {
    const labels = labelSet({ __name__: 'm', n: String(n) });
    for (const moment of moments) {
      encoder.series(labels, 0, labels.length);
      encoder.sample(CAPTURED_AT_MS + moment, ...captureBits(n, moment));
    }
  });
  return new CapturedSamples([
    { arrivedAtMs: CAPTURED_AT_MS, body: Buffer.from(encoder.finish()) },
  ]);
}

/** Halves of the bits of a sample's value, which no other sample has. */
export function captureBits(n: number, moment: number): [low: number, high: number] {
  return [moment, 0x40000000 + n];
}

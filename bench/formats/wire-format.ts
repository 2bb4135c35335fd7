import type { CapturedSamples, LabelTexts, Rows } from '../captured-samples.ts';

/** Takes a decoded sample; the value as the halves of its IEEE 754 bits. */
export type Visit = (
  labels: LabelTexts,
  timestamp: number,
  bitsLow: number,
  bitsHigh: number,
) => void;

/** A way to send samples that ours is compared with. */
export interface WireFormat {
  name: string;
  /** The compressed body with these rows, complete in itself. */
  encode(samples: CapturedSamples, rows: Rows): Uint8Array;
  /** Calls `visit` for every sample, in the order of the rows. */
  decode(body: Uint8Array, visit: Visit): void;
}

/**
 * Bytes of all bodies when each of `batches` becomes one. Every body is decoded again: a format
 * that left something out would look too good.
 *
 * @throws Error when a decoded sample differs from the one that went in
 */
export function measure(
  format: WireFormat,
  samples: CapturedSamples,
  batches: readonly Rows[],
): number {
  let bodyBytes = 0;
  for (const rows of batches) {
    const body = format.encode(samples, rows);
    requireSame(format, samples, rows, body);
    bodyBytes += body.length;
  }
  return bodyBytes;
}

function requireSame(
  format: WireFormat,
  { series, columns }: CapturedSamples,
  rows: Rows,
  body: Uint8Array,
): void {
  let row = rows.from;
  format.decode(body, (labels, timestamp, bitsLow, bitsHigh) => {
    const isSame =
      row < rows.to &&
      columns.timestamps[row] === timestamp &&
      columns.valueBits[row * 2] === bitsLow &&
      columns.valueBits[row * 2 + 1] === bitsHigh &&
      isSameLabels(series[columns.ids[row]!]!.texts, labels);
    if (!isSame) throw new Error(`${format.name}: sample ${row} is not what was encoded`);
    row++;
  });
  if (row !== rows.to) throw new Error(`${format.name}: ${rows.to - row} samples are missing`);
}

function isSameLabels(a: LabelTexts, b: LabelTexts): boolean {
  return a === b || (a.length === b.length && a.every((text, at) => text === b[at]));
}

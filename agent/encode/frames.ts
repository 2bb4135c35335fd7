import type { PositionRange } from '../../proto/position-ranges.ts';

export const ZSTD_LEVEL = 3;

/** A stored segment as encoders need it; its body is intact: a row is checked when it is read. */
export interface EncodableSegment {
  /** In hexadecimal. */
  run: string;
  sequence: number;
  samples: number;
  body: Uint8Array;
}

/** A batch ready for the link: a resend sends the same bytes. */
export interface EncodedBatch {
  frame: Uint8Array;
  stream: bigint;
  sequence: number;
  positions: PositionRange[];
  samples: number;
  /** What the samples take of the frame. */
  sampleBytes: number;
}

/** Segments side by side, with the samples of each. */
export interface CountedRange extends PositionRange {
  counts: number[];
}

/** Positions of segments in their order, with what each of them holds. */
export function countedRanges(
  segments: readonly { run: string; sequence: number; samples: number }[],
): CountedRange[] {
  const counted: CountedRange[] = [];
  let next = 0;
  for (const range of positionRanges(segments)) {
    const end = next + range.last - range.first + 1;
    counted.push({ ...range, counts: segments.slice(next, end).map(({ samples }) => samples) });
    next = end;
  }
  return counted;
}

/** Positions of segments in their order, as few ranges as that takes. */
export function positionRanges(
  segments: readonly { run: string; sequence: number }[],
): PositionRange[] {
  const ranges: PositionRange[] = [];
  for (const { run: runHex, sequence } of segments) {
    const run = BigInt(`0x${runHex}`);
    const last = ranges.at(-1);
    if (last !== undefined && last.run === run && last.last + 1 === sequence) last.last = sequence;
    else ranges.push({ run, first: sequence, last: sequence });
  }
  return ranges;
}

import { ByteWriter } from '../bytes.ts';
import { FieldCursor } from '../field-cursor.ts';
import { writeBytesField } from '../field-writer.ts';
import { histogramFields } from './histogram.ts';
import { absoluteCounts, EXPONENTIAL_SCHEMA_MAX } from './histogram-check.ts';
import type { HistogramContent, HistogramSide } from './histogram-content.ts';

const SCHEMA = 4;
/** Schema, spans, deltas and counts: what the reduction writes anew. */
const REWRITTEN = new Set([SCHEMA, 8, 9, 10, 11, 12, 13]);

interface Tags {
  spans: number;
  deltas: number;
  counts: number;
}

const NEGATIVE: Tags = { spans: 0x42, deltas: 0x4a, counts: 0x52 };
const POSITIVE: Tags = { spans: 0x5a, deltas: 0x62, counts: 0x6a };

/**
 * A Histogram message of a schema beyond 8 as one of schema 8, by the rule of Prometheus: 2^n
 * buckets become one. Loses resolution, and no observation.
 *
 * @param content of the message in bytes [from, to), in which a check has found no problem
 */
export function reduceHistogram(
  content: HistogramContent,
  bytes: Uint8Array,
  from: number,
  to: number,
): Uint8Array {
  content.read(new FieldCursor(bytes, from, to), { exact: true });
  const writer = new ByteWriter(to - from);
  for (const field of histogramFields(bytes, from, to)) {
    if (!REWRITTEN.has(field.number)) writer.raw(bytes, field.from, field.to);
  }
  writer.byte(SCHEMA << 3);
  writer.zigzag(EXPONENTIAL_SCHEMA_MAX);
  const merged = 2 ** (content.schema - EXPONENTIAL_SCHEMA_MAX);
  const sides = [
    [content.negative, NEGATIVE],
    [content.positive, POSITIVE],
  ] as const;
  for (const [side, tags] of sides) {
    if (side.offsets.length === 0) continue;
    if (content.isFloat) {
      const { indices, counts } = mergeBuckets(side, side.counts, merged);
      writeSpans(writer, tags.spans, indices);
      writeBytesField(writer, tags.counts, packedDoubles(counts));
    } else {
      const { indices, counts } = mergeBuckets(side, absoluteCounts(side), merged);
      writeSpans(writer, tags.spans, indices);
      writeBytesField(writer, tags.deltas, packedDeltas(counts));
    }
  }
  return writer.finish();
}

/** Buckets that fall together, ascending by their index in the reduced schema. */
function mergeBuckets<N extends number | bigint>(
  { offsets, lengths }: HistogramSide,
  originalCounts: readonly N[],
  merged: number,
): { indices: number[]; counts: N[] } {
  const indices: number[] = [];
  const counts: N[] = [];
  let original = 0;
  let next = 0;
  for (let span = 0; span < offsets.length; span++) {
    original += offsets[span]!;
    for (let i = 0; i < lengths[span]!; i++) {
      // Bucket n holds what is up to bound n: bound 0 belongs to the buckets before it.
      const index = Math.floor((original - 1) / merged) + 1;
      const count = originalCounts[next]!;
      if (indices.at(-1) === index) {
        counts[counts.length - 1] = sumOf(counts.at(-1)!, count);
      } else {
        indices.push(index);
        counts.push(count);
      }
      original++;
      next++;
    }
  }
  return { indices, counts };
}

function sumOf<N extends number | bigint>(one: N, other: N): N {
  return ((one as number) + (other as number)) as N;
}

/** One span for each run of buckets without a gap. */
function writeSpans(writer: ByteWriter, tag: number, indices: readonly number[]): void {
  const span = new ByteWriter(16);
  let end = 0;
  for (let from = 0; from < indices.length; ) {
    let to = from + 1;
    while (to < indices.length && indices[to] === indices[to - 1]! + 1) to++;
    span.clear();
    span.byte(0x08);
    span.zigzag(indices[from]! - end);
    span.byte(0x10);
    span.varint(to - from);
    writeBytesField(writer, tag, span.bytes.subarray(0, span.length));
    end = indices[to - 1]! + 1;
    from = to;
  }
}

function packedDeltas(counts: readonly bigint[]): Uint8Array {
  const writer = new ByteWriter(counts.length * 2);
  let previous = 0n;
  for (const count of counts) {
    const delta = count - previous;
    let rest = BigInt.asUintN(64, (delta << 1n) ^ (delta >> 63n));
    for (; rest >= 0x80n; rest >>= 7n) writer.byte(Number(rest & 0x7fn) | 0x80);
    writer.byte(Number(rest));
    previous = count;
  }
  return writer.finish();
}

function packedDoubles(counts: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(counts.length * 8);
  counts.forEach((count, at) => {
    bytes.writeDoubleLE(count, at * 8);
  });
  return bytes;
}

import { DecodeError } from '../../../proto/bytes.ts';
import { decodePack, PackEncoder } from '../../../proto/pack.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { sampleFormats } from '../../../proto/sample-format.ts';
import { timeRange } from '../../../proto/time-range.ts';
import { FrameError } from '../../../proto/zstd.ts';
import type { LostSegment } from '../losses.ts';
import type { PackRange, PackRow } from '../pack-table.ts';
import { lostPack } from '../packs.ts';
import type { RescuedLog } from './rescued-log.ts';

/** What a new database takes of a pack: the samples whose series is not lost. */
export function packWithNames(
  row: PackRow,
  log: RescuedLog,
): { kept?: PackRow; lost?: LostSegment } {
  const format = sampleFormats.get(row.format);
  // Of another version of the agent: what cannot be looked into is kept as it is where it may be.
  if (format === undefined) return log.isWhole ? { kept: row } : { lost: lostPack(row) };
  const columns = new SampleColumns(row.samples);
  try {
    decodePack(row.body, { ...row, idsMax: log.idsMax }, columns);
  } catch (error) {
    if (error instanceof DecodeError || error instanceof FrameError) return { lost: lostPack(row) };
    throw error;
  }
  const named = new SampleColumns();
  const nameless = new SampleColumns();
  for (let at = 0; at < columns.count; at++) {
    (log.resolves(columns.ids[at]!) ? named : nameless).appendRows(columns, at, at + 1);
  }
  if (nameless.count === 0) return { kept: row };
  const lost = { ...lostPack(row), samples: nameless.count, ...timeRange(nameless) };
  if (named.count === 0) return { lost };
  // Which series are of one target only decides how small the pack gets.
  const encoder = new PackEncoder(format, () => 0);
  encoder.add(named);
  const positions = fewer(row.positions, nameless.count);
  const body = encoder.finish();
  return { kept: { ...row, samples: named.count, ...timeRange(named), positions, body }, lost };
}

/** The same positions with so many samples fewer in all: which ones have lost them nobody asks. */
function fewer(ranges: readonly PackRange[], samples: number): PackRange[] {
  let left = samples;
  return ranges.map((range) => {
    const counts = range.counts.map((count) => {
      const taken = Math.min(count, left);
      left -= taken;
      return count - taken;
    });
    return { ...range, counts };
  });
}

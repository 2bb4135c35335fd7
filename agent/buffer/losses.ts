import type { Log } from '../../base/log.ts';

/** Why samples left the buffer without an answer of the destination. */
export type LossReason = 'age' | 'bytes' | 'damaged';

export interface Losses {
  /** Samples by reason, since the start of the process. */
  samples: Record<LossReason, number>;
  /** Segments that were committed and are no longer in the database. */
  vanishedSegments: number;
}

export function emptyLosses(): Losses {
  return { samples: { age: 0, bytes: 0, damaged: 0 }, vanishedSegments: 0 };
}

/** A segment that is lost; times in ms since the Unix epoch. */
export interface LostSegment {
  tenant: string;
  samples: number;
  oldest: number;
  newest: number;
}

/** The one place all losses go through: counted, and logged with their time range by tenant. */
export function recordLosses(
  losses: Losses,
  log: Log,
  reason: LossReason,
  segments: readonly LostSegment[],
): void {
  for (const [tenant, lost] of Map.groupBy(segments, (segment) => segment.tenant)) {
    const samples = lost.reduce((sum, segment) => sum + segment.samples, 0);
    const oldest = lost.reduce((ms, segment) => Math.min(ms, segment.oldest), lost[0]!.oldest);
    const newest = lost.reduce((ms, segment) => Math.max(ms, segment.newest), lost[0]!.newest);
    losses.samples[reason] += samples;
    log.warn(
      { reason, tenant, samples, oldest: isoTime(oldest), newest: isoTime(newest) },
      ADVICE[reason],
    );
  }
}

const ADVICE: Record<LossReason, string> = {
  age: 'evicted samples older than buffer.max_age',
  bytes: 'evicted the oldest samples: buffer.max_bytes is reached and when_full is drop_oldest',
  damaged: 'set damaged rows aside in damaged_segments and damaged_packs: check the disk',
};

/** Timestamps may lie outside what a Date can hold. */
function isoTime(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}

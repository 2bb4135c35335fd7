import { formatTime } from '../../base/units.ts';

/** Why samples left the buffer without an answer of the destination. */
export type LossReason = 'age' | 'bytes' | 'parked' | 'discarded' | 'damaged' | 'vanished';

export interface Losses {
  /** Samples by reason, since the start of the process. */
  samples: Record<LossReason, number>;
  /** Segments that were committed and are no longer in the database. */
  vanishedSegments: number;
  /** How often a damaged database was set aside. */
  salvages: number;
  /** Samples that were carried over from databases set aside. */
  salvagedSamples: number;
}

export function emptyLosses(): Losses {
  return {
    samples: { age: 0, bytes: 0, parked: 0, discarded: 0, damaged: 0, vanished: 0 },
    vanishedSegments: 0,
    salvages: 0,
    salvagedSamples: 0,
  };
}

/** Samples that are lost; times in ms since the Unix epoch. */
export interface LostSegment {
  tenant: string;
  samples: number;
  oldest: number;
  newest: number;
  /** Narrower times, which damaged rows have of themselves: probable, not certain. */
  likely?: TimeRange | undefined;
  /** Segments they were in, where nothing of these is left. */
  positions?: readonly LostPositions[];
}

/** Milliseconds since the Unix epoch, both included. */
export interface TimeRange {
  oldest: number;
  newest: number;
}

/** Segments first..last of one run. */
export interface LostPositions {
  run: string;
  first: number;
  last: number;
}

/** Where losses are said. */
export interface LossLog {
  warn(fields: object, message: string): void;
}

/** A line names no more ranges of sequences than this. */
const RANGES_NAMED_MAX = 20;

/** The one place all losses go through: counted, and logged with their time range by tenant. */
export function recordLosses(
  losses: Losses,
  log: LossLog,
  reason: LossReason,
  segments: readonly LostSegment[],
  advice = ADVICE[reason],
): void {
  for (const [tenant, lost] of Map.groupBy(segments, (segment) => segment.tenant)) {
    const samples = lost.reduce((sum, segment) => sum + segment.samples, 0);
    const { oldest, newest } = union(lost);
    const likely = lost.flatMap((segment) => segment.likely ?? []);
    const isLikely = likely.length === lost.length;
    const positions = lost.flatMap((segment) => segment.positions ?? []);
    losses.samples[reason] += samples;
    log.warn(
      {
        reason,
        tenant,
        samples,
        oldest: formatTime(oldest),
        newest: formatTime(newest),
        ...(isLikely ? likelyFields(union(likely)) : {}),
        ...(positions.length === 0 ? {} : { sequences: named(positions) }),
      },
      advice,
    );
  }
}

const ADVICE: Record<LossReason, string> = {
  age: 'evicted samples older than buffer.max_age',
  bytes: 'evicted the oldest samples: buffer.max_bytes is reached and when_full is drop_oldest',
  parked:
    'evicted the oldest parked samples, which the destination would refuse: ' +
    'buffer.max_parked_bytes or buffer.max_bytes is reached',
  discarded: 'samples were discarded by `starferry buffer discard`',
  damaged: 'set damaged rows aside in damaged_segments and damaged_packs: check the disk',
  vanished:
    'committed samples have vanished from buffer.db: its files were damaged, deleted, or replaced ' +
    'by an older copy; they are lost unless they were delivered before',
};

export function union(ranges: readonly TimeRange[]): TimeRange {
  return ranges.reduce((all, { oldest, newest }) => ({
    oldest: Math.min(all.oldest, oldest),
    newest: Math.max(all.newest, newest),
  }));
}

function likelyFields({ oldest, newest }: TimeRange) {
  return { likelyOldest: formatTime(oldest), likelyNewest: formatTime(newest) };
}

/** `run: 3-5, 8; run: 1`. */
function named(positions: readonly LostPositions[]): string {
  const shown = positions.slice(0, RANGES_NAMED_MAX);
  const byRun = Map.groupBy(shown, ({ run }) => run);
  const texts = Array.from(byRun, ([run, ranges]) => {
    const parts = ranges.map(({ first, last }) => (first === last ? first : `${first}-${last}`));
    return `${run}: ${parts.join(', ')}`;
  });
  const more = positions.length - shown.length;
  return texts.join('; ') + (more > 0 ? ` and ${more} more ranges` : '');
}

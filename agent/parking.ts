import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { formatTime } from '../base/units.ts';
import { ObjectCursor, SampleColumns } from '../proto/sample-columns.ts';
import { sampleFormats } from '../proto/sample-format.ts';
import { decodeSegment, encodeSegment } from '../proto/segment.ts';
import { type TimeRange, timeRange } from '../proto/time-range.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackHead, PackPart } from './buffer/pack-table.ts';
import type { SegmentHead } from './buffer/segment-table.ts';
import { encodePackPart, readPackColumns } from './pack-columns.ts';
import type { TimeWindow } from './ship/contracts.ts';
import type { TargetKeys } from './target-keys.ts';

const RELEASE_EVERY_MS = 1000;
/** Somebody may have raised the limit that refuses a sample for its size. */
const TOO_LARGE_MS = 600_000;
const SAMPLE_TIMES_MAX = 10_000;

type SegmentTimes = Pick<SegmentHead, 'id' | 'oldest' | 'newest'>;

export interface ParkingDeps {
  buffer: Buffer;
  targets: TargetKeys;
  clock: Clock;
  log: Log;
}

/** Parks samples that the destination would refuse, and releases them when it would not any more. */
export class Parking {
  readonly #deps: ParkingDeps;
  /**
   * When the samples were of what seemed to be outside of the window for its exemplars only. Nobody
   * refuses exemplars for their age, and a series may show the same one for days: they are not
   * parked.
   */
  readonly #sampleTimes = new Map<string, TimeRange>();

  /** Until when packs are not released, by key, on the clock that never jumps. */
  readonly #heldUntilMs = new Map<number, number>();

  constructor(deps: ParkingDeps) {
    this.#deps = deps;
  }

  /** Parks what a tenant's segments hold outside of `window`; false: nothing, or it did not work. */
  parkSegments(segments: readonly SegmentTimes[], window: TimeWindow): boolean {
    const outside = segments.filter((segment) => {
      return !isWithin(this.#sampleTimes.get(segmentKey(segment)) ?? segment, window);
    });
    return outside.map((segment) => this.#parkSegment(segment, window)).includes(true);
  }

  /** The same for a pack. */
  parkPack(pack: PackHead, window: TimeWindow): boolean {
    const { buffer } = this.#deps;
    const key = `pack ${pack.key}`;
    if (isWithin(this.#sampleTimes.get(key) ?? pack, window)) return false;
    const columns = readPackColumns(pack, buffer);
    if (columns === undefined || this.#isForExemplars(key, columns, window)) return false;
    const parts = partBy(columns, window);
    const encode = (part: SampleColumns): PackPart => this.#encode(part, pack);
    const inside = parts.inside && encode(parts.inside);
    const isParked = buffer.parkPack(pack, { inside, outside: parts.outside.map(encode) });
    if (isParked) this.#say(pack.tenant, parts.outside);
    return isParked;
  }

  /** Parks a pack that the hub or a proxy refuses for its size, out of the way of the others. */
  parkTooLarge(pack: PackHead): boolean {
    const { buffer, clock } = this.#deps;
    const columns = readPackColumns(pack, buffer);
    const parked = new Set(buffer.parkedPacks);
    if (columns === undefined) return false;
    if (!buffer.parkPack(pack, { inside: undefined, outside: [this.#encode(columns, pack)] })) {
      return false;
    }
    const untilMs = clock.elapsedMs() + TOO_LARGE_MS;
    for (const { key } of buffer.parkedPacks.filter((one) => !parked.has(one))) {
      this.#heldUntilMs.set(key, untilMs);
    }
    return true;
  }

  /** Looks every second whether something may be released, until `signal` is aborted. */
  async run(
    windowOf: (tenant: string) => TimeWindow | undefined,
    onReleased: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { buffer, clock, log } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(RELEASE_EVERY_MS, signal);
      for (const [key, untilMs] of this.#heldUntilMs) {
        if (clock.elapsedMs() >= untilMs) this.#heldUntilMs.delete(key);
      }
      for (const pack of buffer.parkedPacks) {
        const window = windowOf(pack.tenant);
        const mayGo = window && pack.newest >= window.oldest && pack.newest <= window.newest;
        if (mayGo !== true || this.#heldUntilMs.has(pack.key) || !buffer.release(pack)) continue;
        const { tenant, samples } = pack;
        log.info({ tenant, samples }, 'released samples that the destination takes by now');
        onReleased();
      }
    }
  }

  #parkSegment(head: SegmentTimes, window: TimeWindow): boolean {
    const { buffer } = this.#deps;
    const segment = buffer.readSegment(head);
    if (segment === undefined) return false;
    const columns = new SampleColumns(segment.samples);
    decodeSegment(segment.body, segment.samples, columns);
    if (this.#isForExemplars(segmentKey(head), columns, window)) return false;
    const parts = partBy(columns, window);
    const { inside } = parts;
    const isParked = buffer.parkSegment(segment, {
      inside: inside && {
        samples: inside.count,
        ...timeRange(inside),
        body: encodeSegment(inside),
      },
      outside: parts.outside.map((part) => this.#encode(part, segment)),
    });
    if (isParked) this.#say(segment.tenant, parts.outside);
    return isParked;
  }

  /** Whether only exemplars are outside of the window; remembered, not to be decoded again. */
  #isForExemplars(key: string, columns: SampleColumns, window: TimeWindow): boolean {
    const samples = columns.withoutExemplars();
    const times = timeRange(samples);
    if (samples === columns || !isWithin(times, window)) return false;
    if (this.#sampleTimes.size === SAMPLE_TIMES_MAX) this.#sampleTimes.clear();
    this.#sampleTimes.set(key, times);
    return true;
  }

  #encode(part: SampleColumns, { epoch }: { epoch: number }): PackPart {
    const format = Math.max(...sampleFormats.keys());
    return encodePackPart(part, { format, epoch }, this.#deps);
  }

  #say(tenant: string, parts: readonly SampleColumns[]): void {
    // A damaged head can claim times that no sample has; it is put right, and nothing is parked.
    if (parts.length === 0) return;
    const samples = parts.reduce((sum, { count }) => sum + count, 0);
    const oldest = Math.min(...parts.map((part) => timeRange(part).oldest));
    const newest = Math.max(...parts.map((part) => timeRange(part).newest));
    this.#deps.log.warn(
      { tenant, samples, oldest: formatTime(oldest), newest: formatTime(newest) },
      'parked samples that the destination would refuse as too old, or whose time has not come: ' +
        'they stay in the buffer',
    );
  }
}

export function isWithin(
  { oldest, newest }: { oldest: number; newest: number },
  window: TimeWindow,
): boolean {
  return oldest >= window.oldest && newest <= window.newest;
}

function segmentKey({ id }: SegmentTimes): string {
  return `segment ${id}`;
}

/** Exemplars, samples inside of the window, and samples before and behind it, in their order. */
function partBy(
  columns: SampleColumns,
  window: TimeWindow,
): { inside: SampleColumns | undefined; outside: SampleColumns[] } {
  const parts = [new SampleColumns(), new SampleColumns(), new SampleColumns()];
  const objects = new ObjectCursor(columns.objects);
  for (let row = 0; row < columns.count; row++) {
    const timestamp = columns.timestamps[row]!;
    const isKept = objects.at(row)?.kind === 'exemplar';
    const part = isKept ? 1 : timestamp < window.oldest ? 0 : timestamp > window.newest ? 2 : 1;
    parts[part]!.appendRows(columns, row, row + 1);
  }
  const [before, inside, behind] = parts as [SampleColumns, SampleColumns, SampleColumns];
  return {
    inside: inside.count > 0 ? inside : undefined,
    outside: [before, behind].filter(({ count }) => count > 0),
  };
}

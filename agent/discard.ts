import type { Clock } from '../base/clock.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { sampleFormats } from '../proto/sample-format.ts';
import { decodeSegment, encodeSegment } from '../proto/segment.ts';
import { timeRange } from '../proto/time-range.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackCut, PackPlace, SegmentCut } from './buffer/discarding-store.ts';
import type { Unavailable } from './buffer/disk-guard.ts';
import type { PackHead } from './buffer/pack-table.ts';
import type { SegmentHead } from './buffer/segment-table.ts';
import type { Discarded, DiscardRequest } from './discard-request.ts';
import { decodePackColumns, encodePackPart } from './pack-columns.ts';
import { TargetKeys } from './target-keys.ts';

/** What is looked at before appends and shipping have their turn. */
const SEGMENTS_AT_ONCE = 16;
const PACKS_AT_ONCE = 64;
const PACKED_SAMPLES_AT_ONCE = 100_000;

export interface DiscardDeps {
  buffer: Buffer;
  targets: TargetKeys;
  clock: Clock;
  /** Why the buffer is not to be used any more; undefined: it is. */
  ended(): string | undefined;
}

/**
 * Discards the samples of a tenant and time range, or counts them. Segments and packs that lie in it
 * partly are cut, to the sample. What waits for an answer of the hub is left alone: the hub may have
 * it. Appends and shipping have their turns in between.
 */
export async function discard(request: DiscardRequest, deps: DiscardDeps): Promise<Discarded> {
  const work = new Discarding(request, deps);
  // Segments become packs meanwhile: none may escape, and none may be counted twice.
  const waiting = request.isDryRun
    ? (['packs', 'segments'] as const)
    : (['segments', 'packs'] as const);
  try {
    for (const step of request.isParked ? (['parked'] as const) : waiting) {
      await (step === 'segments' ? work.segments() : work.packs(step));
    }
    // Rows that somebody else has deleted are not found, and no error says so.
    if (deps.buffer.isDamaged) work.stop('the files of the buffer are damaged');
  } catch (error) {
    if (!deps.buffer.isEndedBy(error)) throw error;
    work.stop(`the files of the buffer are damaged or cannot be read: ${(error as Error).message}`);
  }
  return work.result;
}

/** The same for a running agent, which counts what was discarded; undefined: it has no buffer now. */
export async function discardIn(
  buffer: Buffer | undefined,
  request: DiscardRequest,
  clock: Clock,
  ended: DiscardDeps['ended'],
): Promise<Discarded> {
  const problem = ended();
  if (buffer === undefined || problem !== undefined) {
    return { ...NOTHING, problem: problem ?? 'there is no buffer now' };
  }
  const targets = new TargetKeys(buffer);
  const discarded = await discard(request, { buffer, targets, clock, ended });
  if (ended() === undefined) buffer.tellDiscards();
  return discarded;
}

const NOTHING: Discarded = {
  samples: 0,
  oldest: null,
  newest: null,
  onTheirWay: 0,
  unreadable: 0,
};

class Discarding {
  readonly result: Discarded = { ...NOTHING };
  readonly #request: DiscardRequest;
  readonly #deps: DiscardDeps;

  constructor(request: DiscardRequest, deps: DiscardDeps) {
    this.#request = request;
    this.#deps = deps;
  }

  /** Those that are there now, and not those that arrive meanwhile. */
  async segments(): Promise<void> {
    const { buffer } = this.#deps;
    const below = buffer.nextSegmentId();
    for (let from = 0; this.result.problem === undefined; ) {
      const range = { from, below };
      const heads = buffer.segmentHeads(this.#request.tenant, range, SEGMENTS_AT_ONCE);
      if (heads === undefined || below === 0) return this.stop('the disk of data_dir is failing');
      const last = heads.at(-1);
      if (last === undefined) return;
      from = last.id + 1;
      const cuts = heads.flatMap((head) => this.#cutOfSegment(head) ?? []);
      this.#settle(cuts, () => buffer.discardSegments(cuts));
      await this.#pause();
    }
  }

  /** All there are when it ends: packs are split, and segments become some, meanwhile. */
  async packs(place: PackPlace): Promise<void> {
    const { buffer } = this.#deps;
    const seen = new Set<number>();
    while (this.result.problem === undefined) {
      const packs = buffer.packsIn(place, this.#request.tenant);
      const fresh = firstOf(packs.filter(({ key }) => !seen.has(key)));
      if (fresh.length === 0) return;
      for (const { key } of fresh) seen.add(key);
      const cuts = fresh.flatMap((pack) => this.#cutOfPack(pack, place) ?? []);
      this.#settle(cuts, () => buffer.discardPacks(cuts, place));
      await this.#pause();
    }
  }

  stop(problem: string): void {
    this.result.problem ??= problem;
  }

  #cutOfSegment(head: SegmentHead): SegmentCut | undefined {
    if (!this.#mayHold(head)) return undefined;
    const segment = this.#deps.buffer.readSegment(head);
    if (segment === undefined) {
      this.result.unreadable++;
      return undefined;
    }
    const columns = new SampleColumns(segment.samples);
    decodeSegment(segment.body, segment.samples, columns);
    const { inside, outside } = this.#split(columns);
    if (!this.#isToGo(inside, segment)) return undefined;
    const rest = outside && { ...sizeOf(outside), body: encodeSegment(outside) };
    return { segment, gone: sizeOf(inside), rest };
  }

  #cutOfPack(pack: PackHead, place: PackPlace): PackCut | undefined {
    if (!this.#mayHold(pack)) return undefined;
    const columns = this.#readPack(pack, place);
    if (columns === undefined) {
      this.result.unreadable++;
      return undefined;
    }
    const { inside, outside } = this.#split(columns);
    if (!this.#isToGo(inside, place === 'packs' ? pack : undefined)) return undefined;
    return {
      pack,
      gone: sizeOf(inside),
      rest: outside && encodePackPart(outside, pack, this.#deps),
    };
  }

  #readPack(pack: PackHead, place: PackPlace): SampleColumns | undefined {
    const { buffer } = this.#deps;
    if (!sampleFormats.has(pack.format)) return undefined;
    if (place === 'parked') {
      const body = buffer.readParked(pack);
      return body && decodePackColumns(pack, body, buffer);
    }
    const isPinned = buffer.isOnItsWay(pack);
    const body = buffer.readPack(pack);
    if (!isPinned) buffer.unpinPack(pack);
    return body && decodePackColumns(pack, body, buffer);
  }

  /** Whether samples that were found are to be discarded; those on their way are counted here. */
  #isToGo({ count }: SampleColumns, stored: SegmentHead | PackHead | undefined): boolean {
    const isOnItsWay = stored !== undefined && this.#deps.buffer.isOnItsWay(stored);
    if (isOnItsWay) this.result.onTheirWay += count;
    return count > 0 && !isOnItsWay;
  }

  #settle(cuts: readonly (SegmentCut | PackCut)[], work: () => Unavailable | undefined): void {
    if (cuts.length === 0) return;
    const unavailable = this.#request.isDryRun ? undefined : work();
    if (unavailable !== undefined) {
      this.stop(`data_dir takes nothing now: ${unavailable}`);
      return;
    }
    const { result } = this;
    for (const { gone } of cuts) {
      result.samples += gone.samples;
      result.oldest = Math.min(result.oldest ?? gone.oldest, gone.oldest);
      result.newest = Math.max(result.newest ?? gone.newest, gone.newest);
    }
  }

  async #pause(): Promise<void> {
    await this.#deps.clock.sleep(0);
    const ended = this.#deps.ended();
    if (ended !== undefined) this.stop(ended);
  }

  #mayHold({ oldest, newest }: { oldest: number; newest: number }): boolean {
    return oldest <= this.#request.toMs && newest >= this.#request.fromMs;
  }

  /** The rows of the time range, and the others if there are any. */
  #split(columns: SampleColumns): { inside: SampleColumns; outside: SampleColumns | undefined } {
    const { fromMs, toMs } = this.#request;
    const { timestamps, count } = columns;
    const inside = new SampleColumns();
    const outside = new SampleColumns();
    const isInside = (row: number): boolean =>
      timestamps[row]! >= fromMs && timestamps[row]! <= toMs;
    for (let from = 0; from < count; ) {
      const side = isInside(from);
      let to = from + 1;
      while (to < count && isInside(to) === side) to++;
      (side ? inside : outside).appendRows(columns, from, to);
      from = to;
    }
    return { inside, outside: outside.count > 0 ? outside : undefined };
  }
}

function sizeOf(columns: SampleColumns) {
  return { samples: columns.count, ...timeRange(columns) };
}

/** As many as are read at once. */
function firstOf(packs: readonly PackHead[]): PackHead[] {
  let samples = 0;
  return packs.slice(0, PACKS_AT_ONCE).filter((pack, index) => {
    samples += pack.samples;
    return index === 0 || samples <= PACKED_SAMPLES_AT_ONCE;
  });
}

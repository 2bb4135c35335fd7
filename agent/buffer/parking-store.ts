import { boundedLog } from '../../base/log.ts';
import type { PackHead, PackPart, PackRow } from './pack-table.ts';
import { PackingStore } from './packing-store.ts';
import { lostPack, partRows } from './packs.ts';
import type { SegmentHead, SegmentRow } from './segment-table.ts';
import { type Removal, removalOf, removalsOfPack } from './witness.ts';

/** Evictions take at least this share of what may be parked: one by one each would have a sync. */
const EVICTED_SHARE = 1 / 16;
const LINES_PER_MINUTE = 100;

/** What is left of a segment or pack once some of its samples are parked. */
export interface Parted<Rest> {
  /** Absent: nothing. */
  inside: Rest | undefined;
  outside: PackPart[];
}

/**
 * Samples that the destination would refuse, too old or from the future, are parked: they stay in
 * the buffer as packs, out of the way of the others, until they are released. What is parked counts
 * as waiting, has a limit of its own, and leaves first when room is needed for others.
 */
export class ParkingStore extends PackingStore {
  /** What may be parked; `housekeep` sees to it, so that a second's worth may be beyond it. */
  parkedBytesMax = Number.POSITIVE_INFINITY;
  readonly #bounded = boundedLog(this.log, { perMinute: LINES_PER_MINUTE }, this.clock);

  /** What is parked takes so much, about. */
  get parkedBytes(): number {
    return this.parked.bytes;
  }

  /** Samples that are parked, over all tenants. */
  get parkedSamples(): number {
    return this.parked.all().reduce((sum, { samples }) => sum + samples, 0);
  }

  /** Packs of all tenants that are parked. */
  get parkedPacks(): readonly PackHead[] {
    return this.parked.all();
  }

  /** Parks a part of a segment, which keeps its place and its position; or all of it. */
  parkSegment(
    segment: SegmentHead,
    { inside, outside }: Parted<Pick<SegmentRow, 'samples' | 'oldest' | 'newest' | 'body'>>,
  ): boolean {
    if (!this.hasSegment(segment)) return false;
    const samples = segment.samples - (inside?.samples ?? 0);
    const removal = { ...removalOf(segment), samples, stays: inside !== undefined };
    return this.#park(segment, outside, [removal], () => {
      this.db.segments.remove(segment.id);
      if (inside !== undefined) this.db.segments.put({ ...segment, ...inside });
      return [];
    });
  }

  /** Parks a part of a pack, or all of it; what is left of it keeps its place. */
  parkPack(pack: PackHead, { inside, outside }: Parted<PackPart>): boolean {
    if (!this.shelf.has(pack)) return false;
    const isParked = this.#park(pack, outside, removalsOfPack(pack), (after) => {
      this.db.packs.remove(pack.key);
      const rest = inside === undefined ? [] : [inside];
      return partRows(pack, rest, { run: this.witness.run, after });
    });
    if (isParked) this.shelf.remove(pack);
    return isParked;
  }

  /**
   * The body of a parked pack; undefined when it is gone, or as long as the disk cannot be read. A
   * damaged one is set aside and accounted.
   */
  readParked(pack: PackHead): Uint8Array | undefined {
    if (!this.parked.has(pack)) return undefined;
    const stored = this.disk.read(undefined, () => ({ body: this.db.parked.body(pack.key) }));
    if (stored !== undefined && stored.body === undefined) this.setPackAside(pack, 'parked');
    return stored?.body;
  }

  /** Puts a parked pack back, behind all that waits. A damaged one is set aside and accounted. */
  release(pack: PackHead): boolean {
    const body = this.readParked(pack);
    if (body === undefined) return false;
    const unavailable = this.disk.run(() => {
      const head = this.db.transaction(() => {
        const id = this.db.takeId();
        this.db.parked.remove(pack.key);
        return this.db.packs.add({ ...pack, id, lastId: id, firstSample: 0, body });
      });
      this.parked.remove(pack);
      this.shelf.add(head);
      return undefined;
    });
    return unavailable === undefined;
  }

  /** Evicts the oldest of what is parked beyond `parkedBytesMax`. */
  protected keepParkedLimit(): void {
    this.evictParked(this.parked.bytes - this.parkedBytesMax);
  }

  /** Evicts the oldest that is parked, at least `bytes` of it; returns how many packs. */
  protected evictParked(bytes: number): number {
    if (bytes <= 0) return 0;
    const atLeast = Math.min(this.parkedBytesMax * EVICTED_SHARE, this.parked.bytes);
    const packs = this.parked.oldest(Math.max(bytes, atLeast));
    if (packs.length === 0) return 0;
    this.remove(packs.flatMap(removalsOfPack), () => {
      for (const { key } of packs) this.db.parked.remove(key);
    });
    this.parked.removeAll(packs);
    const log = {
      warn: (fields: object, text: string) => this.#bounded.warn('evicted', fields, text),
    };
    this.lose('parked', packs.map(lostPack), log);
    return packs.length;
  }

  /**
   * In one transaction `leave` takes something from where it was, and `parts` of it are parked under
   * positions of their own.
   *
   * @param leave is told the last sequence in use; returns the packs that stay in its place
   */
  #park(
    from: Pick<PackHead, 'tenant' | 'epoch' | 'storedAt'>,
    parts: readonly PackPart[],
    removals: readonly Removal[],
    leave: (after: number) => PackRow[],
  ): boolean {
    const { tenant, epoch, storedAt } = from;
    const { run } = this.witness;
    const unavailable = this.disk.run(() => {
      let kept: PackHead[] = [];
      let parked: PackHead[] = [];
      this.remove(removals, () => {
        const last = this.witness.heads.get(tenant) ?? 0;
        kept = leave(last).map((row) => this.db.packs.add(row));
        const id = this.db.takeId();
        const place = { tenant, epoch, storedAt, id, lastId: id, firstSample: 0 };
        const rows = partRows(place, parts, { run, after: last + kept.length });
        parked = rows.map((row) => this.db.parked.add(row));
        this.db.setHead(run, tenant, last + kept.length + parked.length);
      });
      for (const head of kept) this.shelf.add(head);
      for (const head of parked) this.parked.add(head);
      this.recordPositions([...kept, ...parked]);
      return undefined;
    });
    return unavailable === undefined;
  }
}

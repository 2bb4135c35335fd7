import type { PackHead, PackPart, PackRow } from './pack-table.ts';
import { PackingStore } from './packing-store.ts';
import { partRows } from './packs.ts';
import type { SegmentHead, SegmentRow } from './segment-table.ts';
import { type Removal, removalOf, removalsOfPack } from './witness.ts';

/** What is left of a segment or pack once some of its samples are parked. */
export interface Parted<Rest> {
  /** Absent: nothing. */
  inside: Rest | undefined;
  outside: PackPart[];
}

/**
 * Samples that the destination would refuse, too old or from the future, are parked: they stay in
 * the buffer as packs, out of the way of the others, until they are released. What is parked counts
 * as waiting, and the limits evict it first.
 */
export class ParkingStore extends PackingStore {
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

  /** Puts a parked pack back, behind all that waits. A damaged one is set aside and accounted. */
  release(pack: PackHead): boolean {
    if (!this.parked.has(pack)) return false;
    const stored = this.disk.read(undefined, () => ({ body: this.db.parked.body(pack.key) }));
    if (stored === undefined) return false;
    const { body } = stored;
    if (body === undefined) {
      this.setPackAside(pack, 'parked');
      return false;
    }
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

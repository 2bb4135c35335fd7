import type { PackHead, PackPart } from './pack-table.ts';
import { PackingStore } from './packing-store.ts';
import { partRows } from './packs.ts';
import type { SegmentHead, SegmentRow } from './segment-table.ts';
import { removalOf, removalsOfPack } from './witness.ts';

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
    const { tenant, id } = segment;
    if (!this.db.segments.has(id)) return false;
    return this.#park(tenant, segment, outside, () => {
      const samples = segment.samples - (inside?.samples ?? 0);
      const removal = { ...removalOf(segment), samples, stays: inside !== undefined };
      this.remove([removal], () => {
        this.db.segments.remove(id);
        if (inside !== undefined) this.db.segments.put({ ...segment, ...inside });
      });
    });
  }

  /** Parks a part of a pack, or all of it; what is left of it keeps its place. */
  parkPack(pack: PackHead, { inside, outside }: Parted<PackPart>): boolean {
    if (!this.shelf.has(pack)) return false;
    const { tenant } = pack;
    return this.#park(tenant, pack, outside, () => {
      if (inside !== undefined) {
        this.replacePack(pack, [inside]);
        return;
      }
      this.remove(removalsOfPack(pack), () => this.db.packs.remove(pack.key));
      this.shelf.remove(pack);
    });
  }

  /** Puts a parked pack back, behind all that waits. */
  release(pack: PackHead): boolean {
    const body = this.parked.has(pack) ? this.db.parked.body(pack.key) : undefined;
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

  /**
   * Stores what is parked, under positions of its own, before `leave` takes it from where it was: a
   * crash in between leaves it twice, which does no harm.
   */
  #park(
    tenant: string,
    from: Pick<PackHead, 'epoch' | 'storedAt'>,
    parts: readonly PackPart[],
    leave: () => void,
  ): boolean {
    const { run } = this.witness;
    const { epoch, storedAt } = from;
    const unavailable = this.disk.run(() => {
      const heads = this.db.transaction(() => {
        const id = this.db.takeId();
        const place = { tenant, epoch, storedAt, id, lastId: id, firstSample: 0 };
        const rows = partRows(place, parts, { run, after: this.witness.heads.get(tenant) ?? 0 });
        this.db.setHead(run, tenant, rows.at(-1)!.positions[0]!.last);
        return rows.map((row) => this.db.parked.add(row));
      });
      this.witness.stored(
        heads.map((head) => ({ ...head, run, sequence: head.positions[0]!.first })),
      );
      for (const head of heads) this.parked.add(head);
      return undefined;
    });
    if (unavailable !== undefined) return false;
    leave();
    return true;
  }
}

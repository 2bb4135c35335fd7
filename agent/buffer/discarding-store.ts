import type { Unavailable } from './disk-guard.ts';
import { type LostSegment, recordLosses, type TimeRange } from './losses.ts';
import type { PackHead, PackPart } from './pack-table.ts';
import { partRows } from './packs.ts';
import { ParkingStore } from './parking-store.ts';
import type { SegmentHead, SegmentRow } from './segment-table.ts';
import { type Removal, removalOf, removalsOfPack } from './witness.ts';

/** What is discarded of something, and what is left of it; absent: nothing. */
interface Cut<Rest> {
  gone: TimeRange & { samples: number };
  rest: Rest | undefined;
}

export interface SegmentCut
  extends Cut<Pick<SegmentRow, 'samples' | 'oldest' | 'newest' | 'body'>> {
  segment: SegmentHead;
}

export interface PackCut extends Cut<PackPart> {
  pack: PackHead;
}

/** Packs that wait to be sent, or those that are parked. */
export type PackPlace = 'packs' | 'parked';

/**
 * Samples that leave at the operator's word. What is discarded is written down in the transaction
 * that removes it, and stays so until the agent has counted it: a command may have discarded it
 * while no agent was running.
 */
export class DiscardingStore extends ParkingStore {
  /**
   * Up to `count` segments of a tenant with ids [from, below), oldest first; undefined while the disk
   * cannot be read, or does not let go of what was answered for.
   */
  segmentHeads(
    tenant: string,
    { from, below }: { from: number; below: number },
    count: number,
  ): SegmentHead[] | undefined {
    if (!this.isUpToDate()) return undefined;
    return this.disk.read(undefined, () =>
      this.db.segments
        .heads(tenant, from, 'ASC')
        .take(count)
        .filter(({ id }) => id < below)
        .toArray(),
    );
  }

  /** No segment has this id yet; 0: nobody knows. */
  nextSegmentId(): number {
    return this.disk.read(0, () => this.db.lastSegmentId() + 1);
  }

  /** Packs of a tenant in the order of the sample log. */
  packsIn(place: PackPlace, tenant: string): readonly PackHead[] {
    return (place === 'packs' ? this.shelf : this.parked).ofTenant(tenant);
  }

  /** Whether it waits for an answer of the hub: it may be there already. */
  isOnItsWay(stored: SegmentHead | PackHead): boolean {
    const isPack = 'positions' in stored;
    return isPack ? this.pins.holdsPack(stored.key) : this.pins.holdsSegment(stored);
  }

  /** Discards of segments of one tenant, in one transaction; what is left keeps its position. */
  discardSegments(cuts: readonly SegmentCut[]): Unavailable | undefined {
    const removals = cuts.map(({ segment, rest, gone: { samples } }) => {
      return { ...removalOf(segment), samples, stays: rest !== undefined };
    });
    return this.#discard(cuts[0]!.segment.tenant, cuts, removals, () => {
      for (const { segment, rest } of cuts) {
        this.db.segments.remove(segment.id);
        if (rest !== undefined) this.db.segments.put({ ...segment, ...rest });
      }
    });
  }

  /**
   * The same of packs in one place. What is left of a pack has a position of its own: what was
   * answered for of the old ones says nothing of it.
   */
  discardPacks(cuts: readonly PackCut[], place: PackPlace): Unavailable | undefined {
    const { tenant } = cuts[0]!.pack;
    const { run } = this.witness;
    const table = this.db[place];
    const last = this.witness.heads.get(tenant) ?? 0;
    const packs = cuts.map(({ pack }) => pack);
    let kept: PackHead[] = [];
    const unavailable = this.#discard(tenant, cuts, packs.flatMap(removalsOfPack), () => {
      kept = [];
      for (const { pack, rest } of cuts) {
        table.remove(pack.key);
        if (rest === undefined) continue;
        const rows = partRows(pack, [rest], { run, after: last + kept.length });
        kept.push(...rows.map((row) => table.add(row)));
      }
      if (kept.length > 0) this.db.setHead(run, tenant, last + kept.length);
    });
    if (unavailable !== undefined) return unavailable;
    const shelf = place === 'packs' ? this.shelf : this.parked;
    shelf.removeAll(packs);
    for (const head of kept) shelf.add(head);
    this.recordPositions(kept);
    return undefined;
  }

  /** Counts and logs what was discarded, by this process or while no agent was running. */
  tellDiscards(): void {
    this.disk.run(() => {
      const gone = this.db.discarded.all();
      if (gone.length === 0) return undefined;
      this.db.transaction(() => this.db.discarded.clear());
      recordLosses(this.losses, this.log, 'discarded', gone);
      return undefined;
    });
  }

  #discard(
    tenant: string,
    cuts: readonly Cut<unknown>[],
    removals: readonly Removal[],
    work: () => void,
  ): Unavailable | undefined {
    const gone = cuts.map((cut): LostSegment => ({ tenant, ...cut.gone }));
    const unavailable = this.disk.run(() => {
      this.remove(removals, () => {
        work();
        for (const one of gone) this.db.discarded.add(one);
      });
      return undefined;
    });
    if (unavailable !== undefined) return unavailable;
    for (const { samples } of gone) this.addBacklog(tenant, -samples);
    return undefined;
  }
}

import { type PackLimits, type Surroundings, selectPack } from './pack-selection.ts';
import type { PackHead, PackPart, PackRow } from './pack-table.ts';
import { type PackPlace, partRows } from './packs.ts';
import { SampleStore } from './sample-store.ts';
import type { SegmentHead } from './segment-table.ts';
import { removalOf, removalsOfPack } from './witness.ts';

/** Segments become packs, and packs smaller ones; each in one transaction, or not at all. */
export class PackingStore extends SampleStore {
  /** Segments of a tenant that should become a pack now, oldest first; none as a rule. */
  packable(tenant: string, limits: PackLimits): SegmentHead[] {
    if (!this.isUpToDate()) return [];
    const packs = this.shelf.ofTenant(tenant);
    const around: Surroundings = {
      isPinned: (segment) => this.pins.holdsSegment(segment),
      isPackBetween: (one, other) => packs.some(({ id }) => one.id < id && id < other.id),
    };
    const freshFrom = this.storingTimes.firstAfter(limits.storedBefore);
    return this.disk.read([], () =>
      selectPack(this.db.segments.heads(tenant, 0, 'ASC'), around, { ...limits, freshFrom }),
    );
  }

  /** One segment of a tenant; undefined when it is gone or cannot be read. */
  segmentHead(tenant: string, id: number): SegmentHead | undefined {
    if (!this.isUpToDate()) return undefined;
    const [head] = this.disk.read([], () =>
      this.db.segments.heads(tenant, id, 'ASC').take(1).toArray(),
    );
    return head?.id === id ? head : undefined;
  }

  /**
   * Puts a pack in the place of the segments whose samples it holds. Not when one of them is gone
   * or about to be sent meanwhile: then nothing has changed.
   */
  storePack(segments: readonly SegmentHead[], pack: PackRow): boolean {
    if (!this.isUpToDate() || !segments.every((segment) => this.isPackable(segment))) return false;
    const unavailable = this.disk.run(() => {
      const head = this.db.transaction(() => {
        for (const { id } of segments) this.db.segments.remove(id);
        return this.db.packs.add(pack);
      });
      this.shelf.add(head);
      return undefined;
    });
    return unavailable === undefined;
  }

  /**
   * Puts several packs in the place of the segments whose samples they hold together, or changes
   * nothing. What was answered for of the segments says nothing of a pack that holds a part of each.
   */
  storePacks(
    segments: readonly SegmentHead[],
    place: PackPlace,
    parts: readonly PackPart[],
  ): boolean {
    if (!this.isUpToDate() || !segments.every((segment) => this.isPackable(segment))) return false;
    return this.#replace(segments, place, parts);
  }

  /** Whether a segment is there and not about to be sent, as far as anybody can tell. */
  isPackable(segment: SegmentHead): boolean {
    return !this.pins.holdsSegment(segment) && this.hasSegment(segment);
  }

  /** Puts the same samples in another format in the place of a pack. Not when it is gone. */
  recodePack(pack: PackHead, part: PackPart): boolean {
    if (!this.shelf.has(pack)) return false;
    const unavailable = this.disk.run(() => {
      const head = this.db.transaction(() => {
        this.db.packs.remove(pack.key);
        return this.db.packs.add({ ...pack, ...part });
      });
      this.shelf.remove(pack);
      this.shelf.add(head);
      return undefined;
    });
    return unavailable === undefined;
  }

  /** Puts packs of fewer samples in the place of one. Not when it is gone. */
  replacePack(pack: PackHead, parts: readonly PackPart[]): boolean {
    if (!this.shelf.has(pack)) return false;
    return this.#replace(pack, pack, parts);
  }

  /**
   * Puts packs in the place of something, in one transaction. They have positions of their own: what
   * was answered for of the old ones says nothing of them.
   */
  #replace(
    what: PackHead | readonly SegmentHead[],
    place: PackPlace,
    parts: readonly PackPart[],
  ): boolean {
    const { tenant } = place;
    const { run } = this.witness;
    const rows = partRows(place, parts, { run, after: this.witness.heads.get(tenant) ?? 0 });
    const removals = 'key' in what ? removalsOfPack(what) : what.map(removalOf);
    const unavailable = this.disk.run(() => {
      const heads: PackHead[] = [];
      this.remove(removals, () => {
        if ('key' in what) this.db.packs.remove(what.key);
        else for (const { id } of what) this.db.segments.remove(id);
        for (const row of rows) heads.push(this.db.packs.add(row));
        this.db.setHead(run, tenant, rows.at(-1)!.positions[0]!.last);
      });
      if ('key' in what) this.shelf.remove(what);
      for (const head of heads) this.shelf.add(head);
      this.recordPositions(heads);
      return undefined;
    });
    return unavailable === undefined;
  }

  /** Whether a segment is there, and no sample has left it, as far as anybody can tell. */
  protected hasSegment({ id, samples }: Pick<SegmentHead, 'id' | 'samples'>): boolean {
    return this.disk.read(false, () => this.db.segments.has(id, samples));
  }

  /** Packs with positions of their own, in the order of these, were committed. */
  protected recordPositions(heads: readonly PackHead[]): void {
    const { run } = this.witness;
    this.witness.stored(
      heads.map((head) => ({ ...head, run, sequence: head.positions[0]!.first })),
    );
  }
}

import { type PackLimits, type Surroundings, selectPack } from './pack-selection.ts';
import { headOf, type PackHead, type PackPart, type PackRow } from './pack-table.ts';
import { splitRows } from './packs.ts';
import { SampleStore } from './sample-store.ts';
import type { SegmentHead } from './segment-table.ts';
import { removalsOfPack } from './witness.ts';

/** Segments become packs, and packs smaller ones; each in one transaction, or not at all. */
export class PackingStore extends SampleStore {
  /** Segments of a tenant that should become a pack now, oldest first; none as a rule. */
  packable(tenant: string, limits: PackLimits): SegmentHead[] {
    if (!this.isUpToDate()) return [];
    const stored = this.db.segments.heads(tenant, 0, 'ASC');
    const packs = this.shelf.ofTenant(tenant);
    const around: Surroundings = {
      isPinned: (segment) => this.pins.holdsSegment(segment),
      isPackBetween: (one, other) => packs.some(({ id }) => one.id < id && id < other.id),
    };
    return selectPack(stored, around, limits);
  }

  /**
   * Puts a pack in the place of the segments whose samples it holds. Not when one of them is gone
   * or about to be sent meanwhile: then nothing has changed.
   */
  storePack(segments: readonly SegmentHead[], pack: PackRow): boolean {
    const isThere = (segment: SegmentHead): boolean =>
      !this.pins.holdsSegment(segment) && this.db.segments.has(segment.id);
    if (!this.isUpToDate() || !segments.every(isThere)) return false;
    const unavailable = this.disk.run(() => {
      this.db.transaction(() => {
        for (const { id } of segments) this.db.segments.remove(id);
        this.db.packs.add(pack);
      });
      return undefined;
    });
    if (unavailable !== undefined) return false;
    this.shelf.add(headOf(pack));
    return true;
  }

  /**
   * Puts packs of fewer samples in the place of one. They have positions of their own: what was
   * answered for of the old ones says nothing of them. Not when the pack is gone, or has not the
   * ids for so many.
   */
  replacePack(pack: PackHead, parts: readonly PackPart[]): boolean {
    const { tenant, id, lastId } = pack;
    if (lastId - id + 1 < parts.length || !this.shelf.has(pack)) return false;
    const { run } = this.witness;
    const rows = splitRows(pack, parts, { run, after: this.witness.heads.get(tenant) ?? 0 });
    const unavailable = this.disk.run(() => {
      this.remove(removalsOfPack(pack), () => {
        this.db.packs.remove(id);
        for (const row of rows) this.db.packs.add(row);
        this.db.setHead(run, tenant, rows.at(-1)!.positions[0]!.last);
      });
      return undefined;
    });
    if (unavailable !== undefined) return false;
    this.shelf.remove(pack);
    this.witness.stored(rows.map((row) => ({ ...row, run, sequence: row.positions[0]!.first })));
    for (const row of rows) this.shelf.add(headOf(row));
    return true;
  }
}

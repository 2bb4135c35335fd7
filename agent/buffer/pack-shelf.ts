import { type PositionRange, PositionSet } from '../../proto/position-ranges.ts';
import { comparePlaces, type PackHead, packBytes } from './pack-table.ts';

interface Shelf {
  /** In the order of the sample log. */
  packs: PackHead[];
  samples: number;
}

/** The heads of all packs in memory: a busy tenant's backlog of days has thousands. */
export class PackShelf {
  readonly #shelves = new Map<string, Shelf>();
  #bytes = 0;

  constructor(heads: readonly PackHead[]) {
    for (const head of heads) this.add(head);
  }

  /** What all packs take, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Packs of a tenant in the order of the sample log. */
  ofTenant(tenant: string): readonly PackHead[] {
    return this.#shelves.get(tenant)?.packs ?? [];
  }

  /** Whether this very pack is still there. */
  has(head: PackHead): boolean {
    return this.ofTenant(head.tenant).includes(head);
  }

  /** All packs in the order of the sample log. */
  all(): PackHead[] {
    const packs = Array.from(this.#shelves.values(), (shelf) => shelf.packs).flat();
    return packs.sort(comparePlaces);
  }

  /** The oldest packs until they take `bytes` together; all of them where that is less. */
  oldest(bytes: number): PackHead[] {
    const found: PackHead[] = [];
    let left = bytes;
    for (const pack of this.all()) {
      if (left <= 0) break;
      found.push(pack);
      left -= packBytes(pack);
    }
    return found;
  }

  /** Samples in the packs of a tenant; asked with every commit. */
  samples(tenant: string): number {
    return this.#shelves.get(tenant)?.samples ?? 0;
  }

  add(head: PackHead): void {
    const { tenant, samples } = head;
    const shelf = this.#shelves.get(tenant) ?? { packs: [], samples: 0 };
    this.#shelves.set(tenant, shelf);
    // Nearly always behind all others.
    const before = shelf.packs.findLastIndex((pack) => comparePlaces(pack, head) < 0);
    shelf.packs.splice(before + 1, 0, head);
    shelf.samples += samples;
    this.#bytes += packBytes(head);
  }

  /** Removes this very pack, if it is there. */
  remove(head: PackHead): void {
    const shelf = this.#shelves.get(head.tenant);
    const at = shelf?.packs.indexOf(head) ?? -1;
    if (shelf === undefined || at < 0) return;
    shelf.samples -= head.samples;
    this.#bytes -= packBytes(head);
    shelf.packs.splice(at, 1);
  }

  /** Removes many at once: one by one each would move all behind it. */
  removeAll(heads: readonly PackHead[]): void {
    const gone = new Set(heads);
    for (const tenant of new Set(heads.map((head) => head.tenant))) {
      const shelf = this.#shelves.get(tenant);
      if (shelf === undefined) continue;
      const removed = shelf.packs.filter((pack) => gone.has(pack));
      shelf.packs = shelf.packs.filter((pack) => !gone.has(pack));
      for (const pack of removed) {
        shelf.samples -= pack.samples;
        this.#bytes -= packBytes(pack);
      }
    }
  }

  /** Packs of a tenant all of whose segments are in `ranges`. */
  coveredBy(tenant: string, ranges: readonly PositionRange[]): PackHead[] {
    const packs = this.ofTenant(tenant);
    if (packs.length === 0) return [];
    const answered = new PositionSet();
    for (const range of ranges) answered.add(range);
    return packs.filter(({ positions }) =>
      positions.every((range) => answered.coverage(range) === 'all'),
    );
  }
}

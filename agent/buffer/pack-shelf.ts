import { type PositionRange, PositionSet } from '../../proto/position-ranges.ts';
import type { PackHead } from './pack-table.ts';

/** The heads of all packs in memory: a backlog of days has a few hundred. */
export class PackShelf {
  /** By tenant, in the order of the sample log. */
  readonly #packs = new Map<string, PackHead[]>();

  constructor(heads: readonly PackHead[]) {
    for (const head of heads) this.add(head);
  }

  /** Packs of a tenant in the order of the sample log. */
  ofTenant(tenant: string): readonly PackHead[] {
    return this.#packs.get(tenant) ?? [];
  }

  /** All packs in the order of the sample log. */
  all(): PackHead[] {
    return [...this.#packs.values()].flat().sort((one, other) => one.id - other.id);
  }

  /** Samples in the packs of a tenant. */
  samples(tenant: string): number {
    return this.ofTenant(tenant).reduce((sum, { samples }) => sum + samples, 0);
  }

  add(head: PackHead): void {
    const packs = [...this.ofTenant(head.tenant), head];
    this.#packs.set(
      head.tenant,
      packs.sort((one, other) => one.id - other.id),
    );
  }

  remove({ tenant, id }: { tenant: string; id: number }): void {
    this.#packs.set(
      tenant,
      this.ofTenant(tenant).filter((pack) => pack.id !== id),
    );
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

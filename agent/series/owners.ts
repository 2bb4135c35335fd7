/** How many former owners of a series are remembered. */
const FORMER_MAX = 16;

/**
 * Which incoming label set each series comes from. A rule that takes labels away may make two
 * series one: when samples come from one, the other, and the first again, they interleave. One that
 * takes the place of another for good, as a new pod does, is no trouble.
 */
export class Owners {
  /** Per series, the set plus 1; 0: none yet. */
  #owners = new Int32Array(256);
  /** Per series, those before; only where there has been more than one. */
  readonly #former = new Map<number, Set<number>>();
  readonly #shared = new Set<number>();

  /** Series that several sets have been found to share. */
  get sharedCount(): number {
    return this.#shared.size;
  }

  /** Notes that `set` has become a sample of series `id`; the other set when they interleave. */
  note(id: number, set: number): number | undefined {
    if (id >= this.#owners.length) this.#grow(id);
    const before = this.#owners[id]! - 1;
    if (before === set) return undefined;
    this.#owners[id] = set + 1;
    if (before < 0) return undefined;
    const former = this.#former.get(id) ?? new Set();
    const interleaves = former.delete(set);
    former.add(before);
    if (former.size > FORMER_MAX) former.delete(former.values().next().value!);
    this.#former.set(id, former);
    if (!interleaves || this.#shared.has(id)) return undefined;
    this.#shared.add(id);
    return before;
  }

  clear(): void {
    this.#owners.fill(0);
    this.#former.clear();
    this.#shared.clear();
  }

  #grow(id: number): void {
    const owners = new Int32Array(Math.max(id + 1, this.#owners.length * 2));
    owners.set(this.#owners);
    this.#owners = owners;
  }
}

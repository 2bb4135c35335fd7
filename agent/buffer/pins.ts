/** What waits for its answer: no limit evicts it and no pack swallows it. */
export class Pins {
  /** Ids of the segments in a batch, by tenant. */
  readonly #segments = new Map<string, { first: number; last: number }>();
  /** Keys of packs. */
  readonly #packs = new Set<number>();

  /** Segments of one batch, in the place of those that the tenant had pinned before. */
  pinSegments(tenant: string, segments: readonly { id: number }[]): void {
    const first = segments[0]?.id;
    if (first === undefined) this.#segments.delete(tenant);
    else this.#segments.set(tenant, { first, last: segments.at(-1)!.id });
  }

  pinPack(key: number): void {
    this.#packs.add(key);
  }

  unpinPack(key: number): void {
    this.#packs.delete(key);
  }

  holdsSegment({ tenant, id }: { tenant: string; id: number }): boolean {
    const pinned = this.#segments.get(tenant);
    return pinned !== undefined && pinned.first <= id && id <= pinned.last;
  }

  holdsPack(key: number): boolean {
    return this.#packs.has(key);
  }
}

/** What waits for its answer: no limit evicts it and no pack swallows it. */
export class Pins {
  /** Ids of the oldest and the newest segment in batches, by tenant. */
  readonly #segments = new Map<string, { first: number; last: number }>();
  /** Keys of packs. */
  readonly #packs = new Set<number>();

  /** In the place of what the tenant had pinned before. */
  pinSegments(tenant: string, ids: { first: number; last: number } | undefined): void {
    if (ids === undefined) this.#segments.delete(tenant);
    else this.#segments.set(tenant, ids);
  }

  /** Segments behind those that are pinned, and whatever lies between. */
  pinMore(tenant: string, segments: readonly { id: number }[]): void {
    const last = segments.at(-1)?.id;
    if (last === undefined) return;
    const first = this.#segments.get(tenant)?.first ?? segments[0]!.id;
    this.#segments.set(tenant, { first, last });
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

/** One metadata record of a dictionary log. */
interface Entry {
  id: number;
  named: string;
  family: string;
  bytes: Uint8Array;
}

/** The metadata records of a dictionary log, in the order in which the agent met them. */
export class MetadataRecords {
  readonly #entries: Entry[] = [];

  /** @param bytes canonical MetricMetadata; copied */
  add(id: number, named: string, family: string, bytes: Uint8Array): void {
    this.#entries.push({ id, named, family, bytes: bytes.slice() });
  }

  /** Forgets the records from entry `id` on. */
  truncate(id: number): void {
    while ((this.#entries.at(-1)?.id ?? -1) >= id) this.#entries.pop();
  }

  /** What is known of each family of a tenant, the newest word on it. */
  latest(named: string): Map<string, Uint8Array> {
    const latest = new Map<string, Uint8Array>();
    for (const entry of this.#entries) {
      if (entry.named === named) latest.set(entry.family, entry.bytes);
    }
    return latest;
  }
}

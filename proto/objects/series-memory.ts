/** Beyond, both ends of a stream forget all layouts and counts before the next section. */
const HISTOGRAM_BYTES_MAX = 32 * 2 ** 20;

/**
 * What one end of a stream remembers of each series: its last native histogram in two parts, and
 * the start timestamp of its last sample. Both ends hold the same, since what a section brings
 * counts only from `keep` on, when it was coded as a whole.
 */
export class SeriesMemory {
  #layouts = new Map<number, Uint8Array>();
  #counts = new Map<number, Uint8Array>();
  #histogramBytes = 0;
  readonly #starts = new Map<number, number>();
  readonly #newLayouts = new Map<number, Uint8Array>();
  readonly #newCounts = new Map<number, Uint8Array>();
  readonly #newStarts = new Map<number, number>();

  /** Whether some series has a start timestamp. */
  get hasStarts(): boolean {
    return this.#starts.size > 0;
  }

  /** Begins a section. */
  begin(): void {
    this.#newLayouts.clear();
    this.#newCounts.clear();
    this.#newStarts.clear();
    if (this.#histogramBytes <= HISTOGRAM_BYTES_MAX) return;
    this.#layouts = new Map();
    this.#counts = new Map();
    this.#histogramBytes = 0;
  }

  layoutOf(id: number): Uint8Array | undefined {
    return this.#newLayouts.get(id) ?? this.#layouts.get(id);
  }

  setLayout(id: number, layout: Uint8Array): void {
    this.#newLayouts.set(id, layout);
  }

  countsOf(id: number): Uint8Array | undefined {
    return this.#newCounts.get(id) ?? this.#counts.get(id);
  }

  /** @param counts kept as they are */
  setCounts(id: number, counts: Uint8Array): void {
    this.#newCounts.set(id, counts);
  }

  startOf(id: number): number {
    return this.#newStarts.get(id) ?? this.#starts.get(id) ?? 0;
  }

  setStart(id: number, start: number): void {
    this.#newStarts.set(id, start);
  }

  /** The section is good. */
  keep(): void {
    this.#keepParts(this.#newLayouts, this.#layouts);
    this.#keepParts(this.#newCounts, this.#counts);
    for (const [id, start] of this.#newStarts) this.#starts.set(id, start);
  }
  #keepParts(parts: ReadonlyMap<number, Uint8Array>, kept: Map<number, Uint8Array>): void {
    for (const [id, part] of parts) {
      this.#histogramBytes += part.length - (kept.get(id)?.length ?? 0);
      kept.set(id, part);
    }
  }
}

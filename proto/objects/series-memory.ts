/** Beyond, both ends of a stream forget all layouts before the next section. */
const LAYOUT_BYTES_MAX = 16 * 2 ** 20;

/**
 * What one end of a stream remembers of each series: the layout of its last native histogram and
 * the start timestamp of its last sample. Both ends hold the same, since what a section brings
 * counts only from `keep` on, when it was coded as a whole.
 */
export class SeriesMemory {
  #layouts = new Map<number, Uint8Array>();
  #layoutBytes = 0;
  readonly #starts = new Map<number, number>();
  readonly #newLayouts = new Map<number, Uint8Array>();
  readonly #newStarts = new Map<number, number>();

  /** Whether some series has a start timestamp. */
  get hasStarts(): boolean {
    return this.#starts.size > 0;
  }

  /** Begins a section. */
  begin(): void {
    this.#newLayouts.clear();
    this.#newStarts.clear();
    if (this.#layoutBytes <= LAYOUT_BYTES_MAX) return;
    this.#layouts = new Map();
    this.#layoutBytes = 0;
  }

  layoutOf(id: number): Uint8Array | undefined {
    return this.#newLayouts.get(id) ?? this.#layouts.get(id);
  }

  setLayout(id: number, layout: Uint8Array): void {
    this.#newLayouts.set(id, layout);
  }

  startOf(id: number): number {
    return this.#newStarts.get(id) ?? this.#starts.get(id) ?? 0;
  }

  setStart(id: number, start: number): void {
    this.#newStarts.set(id, start);
  }

  /** The section is good. */
  keep(): void {
    for (const [id, layout] of this.#newLayouts) {
      this.#layoutBytes += layout.length - (this.#layouts.get(id)?.length ?? 0);
      this.#layouts.set(id, layout);
    }
    for (const [id, start] of this.#newStarts) this.#starts.set(id, start);
  }
}

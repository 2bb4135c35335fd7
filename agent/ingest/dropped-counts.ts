/** A float of remote write 1.0 with a timestamp of today. */
const SAMPLE_BYTES = 18;

/** What the filters have dropped of a request, by the number of the rule. */
export class DroppedCounts {
  /** Over all rules. */
  samples = 0;
  /** Per rule, with gaps; few rules drop, so that no map is worth it. */
  readonly #samples: number[] = [];
  readonly #bytes: number[] = [];

  /** A series with so many samples was dropped. */
  add(rule: number, samples: number, labelBytes: number): void {
    this.samples += samples;
    this.#samples[rule] = (this.#samples[rule] ?? 0) + samples;
    this.#bytes[rule] = (this.#bytes[rule] ?? 0) + labelBytes + samples * SAMPLE_BYTES;
  }

  /** `bytes`: what labels and samples take in remote write 1.0, uncompressed. */
  *byRule(): Generator<{ rule: number; samples: number; bytes: number }> {
    for (const [rule, samples] of this.#samples.entries()) {
      if (samples !== undefined) yield { rule, samples, bytes: this.#bytes[rule]! };
    }
  }
}

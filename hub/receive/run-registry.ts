import type { KnownRuns } from './agent-store.ts';

/** An agent restarted more often than this within one life of the hub's memory is a crash loop. */
const REPLACED_MAX = 1000;

/**
 * The runs of one agent id that have spoken. A new run replaces the one before: the agent was
 * restarted. A run that speaks after it was replaced is a second live agent under the same id.
 */
export class RunRegistry {
  /** Where the current run spoke from last. */
  address = '';
  #current: bigint | undefined;
  readonly #replaced: Set<bigint>;

  constructor({ current, replaced }: KnownRuns) {
    this.#current = current;
    this.#replaced = new Set(replaced);
  }

  get current(): bigint {
    return this.#current ?? 0n;
  }

  /** Whether `run` may speak for the agent; `new` when it has just replaced another. */
  hear(run: bigint, address: string): 'current' | 'new' | 'replaced' {
    if (this.#replaced.has(run)) return 'replaced';
    this.address = address;
    if (run === this.#current) return 'current';
    if (this.#current !== undefined) this.#replaced.add(this.#current);
    for (const oldest of this.#replaced) {
      if (this.#replaced.size <= REPLACED_MAX) break;
      this.#replaced.delete(oldest);
    }
    this.#current = run;
    return 'new';
  }

  known(): KnownRuns {
    return { current: this.#current, replaced: [...this.#replaced] };
  }
}

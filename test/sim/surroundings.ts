import { createHash } from 'node:crypto';
import type { Chance } from './chance.ts';
import type { Parts } from './parts.ts';
import type { Plan } from './plan.ts';
import { VirtualTime } from './virtual-time.ts';

/** The hour at which every simulation begins. */
export const STARTS_AT_MS = 1_800_000_000_000;

/** Names of tenants at the destination, by their names at the agent. */
export function destinationTenant(named: string): string {
  return named === '' ? 'overseas' : named;
}

/** What all parts of one simulation share: time, chance, the plan, and the record of the run. */
export class Surroundings {
  readonly time = new VirtualTime();
  readonly chance: Chance;
  readonly plan: Plan;
  readonly parts: Parts;
  /** Faults have stopped: from now on everything works as it should. */
  isCalm = false;
  readonly violations: string[] = [];
  /** What happened, one line each, with the virtual seconds in front. */
  readonly trace: string[] = [];
  readonly #background = new Set<Promise<void>>();

  constructor(chance: Chance, plan: Plan, parts: Parts) {
    this.chance = chance;
    this.plan = plan;
    this.parts = parts;
  }

  note(line: string): void {
    this.trace.push(`${(this.time.elapsedMs / 1000).toFixed(3)} ${line}`);
  }

  /** One that comes again is told once. */
  violation(text: string): void {
    if (!this.violations.includes(text)) this.violations.push(text);
    this.note(`VIOLATION ${text}`);
  }

  /** Lets work go on by itself; it is a violation when it throws. */
  spawn(work: Promise<unknown>): void {
    const watched = work.then(
      () => {},
      (error: unknown) => this.violation(`thrown: ${describe(error)}`),
    );
    this.#background.add(watched);
    void watched.finally(() => this.#background.delete(watched));
  }

  /** Resolves when all work that was let go has come to its end. */
  async rest(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  /** The same for every run of a seed, if nothing but the seed decides. */
  traceHash(): string {
    return createHash('sha256').update(this.trace.join('\n')).digest('hex').slice(0, 16);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

import { join } from 'node:path';
import type { RefusedRequest } from '../../hub/refused-request.ts';
import type { Post } from '../../hub/write/post.ts';
import type { Settlement } from '../../proto/settlement.ts';
import type { Chance } from './chance.ts';
import { damageHub } from './hub-damage.ts';
import { HubProcess } from './hub-process.ts';
import { copyAsAfterPowerCut } from './power-cut.ts';
import { STARTS_AT_MS, type Surroundings } from './surroundings.ts';
import { WallClock } from './virtual-time.ts';
import { setAtStart } from './wrong-clock.ts';

/**
 * By a clock further behind than max_sample_ahead all samples are of the future: agents park them,
 * and what is parked has no place in the order any more.
 */
const BEHIND_MS_MAX = 100_000;

export interface HubMachineDeps {
  surroundings: Surroundings;
  folder: string;
  post: Post;
  settled(settlement: Settlement): void;
  /** What goes into the record of refused samples. */
  refused(requests: readonly RefusedRequest[]): void;
}

/** A machine with a disk and a clock, on which one process of the hub after another runs. */
export class HubMachine {
  readonly name: string;
  readonly clock: WallClock;
  process: HubProcess | undefined;
  readonly #deps: HubMachineDeps;
  readonly #chance: Chance;
  #dataDir: string;
  #folders = 0;

  constructor(name: string, deps: HubMachineDeps) {
    const { surroundings } = deps;
    this.name = name;
    this.#deps = deps;
    this.#chance = surroundings.chance.part(name);
    this.clock = new WallClock(surroundings.time, STARTS_AT_MS + this.#chance.between(-500, 500));
    this.#dataDir = this.#nextFolder();
  }

  start(): void {
    const { surroundings, post, settled, refused } = this.#deps;
    if (this.process !== undefined) return;
    surroundings.note(`${this.name} starts`);
    if (surroundings.plan.events.includes('wrong hub clock') && !surroundings.isCalm) {
      const isUnlimited = surroundings.plan.hub.aheadMaxMs === 0;
      const behindMaxMs = isUnlimited ? Number.POSITIVE_INFINITY : BEHIND_MS_MAX;
      setAtStart(this.clock, surroundings, this.#chance, behindMaxMs);
    }
    const chance = this.#chance.part(`process ${this.#folders}`);
    try {
      this.process = new HubProcess(this.#dataDir, {
        surroundings,
        clock: this.clock,
        random: chance.part('ids').random,
        chance,
        post,
        settled,
        refused,
      });
    } catch (error) {
      surroundings.violation(`${this.name} cannot start: ${error}`);
    }
  }

  /** The power fails now. */
  crash(): void {
    const { process } = this;
    if (process === undefined) return;
    this.#deps.surroundings.note(`${this.name} is dead`);
    this.#dataDir = this.#nextFolder();
    copyAsAfterPowerCut(process.dataDir, this.#dataDir, this.#chance);
    process.crash();
    this.process = undefined;
  }

  /** Puts an empty folder in the place of the data_dir; the process must have ended. */
  deleteData(): void {
    this.#deps.surroundings.note(`${this.name} has lost its data_dir`);
    this.#dataDir = this.#nextFolder();
  }

  /** Flips bits in the database; the process must have ended. */
  damage(): void {
    const where = damageHub(this.#dataDir, this.#chance);
    this.#deps.surroundings.note(`${this.name} damaged in ${where}`);
  }

  async stop(): Promise<void> {
    await this.process?.stop();
  }

  #nextFolder(): string {
    return join(this.#deps.folder, `${this.name}-${this.#folders++}`);
  }
}

import type { Random } from '../../base/random.ts';
import { seededRandom } from '../tools/seeded-random.ts';

/** Draws of a simulation; what is drawn in one part of it does not shift the draws of another. */
export class Chance {
  readonly random: Random;
  readonly #seed: string;

  constructor(seed: string) {
    this.#seed = seed;
    this.random = seededRandom(seed);
  }

  /** Independent draws for one part. */
  part(name: string): Chance {
    return new Chance(`${this.#seed}/${name}`);
  }

  maybe(probability: number): boolean {
    return probability > 0 && this.random.float() < probability;
  }

  /** Evenly from `min` up to `max`. */
  between(min: number, max: number): number {
    return min + this.random.float() * (max - min);
  }

  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.random.float() * (max - min + 1));
  }

  pick<T>(items: readonly [T, ...T[]] | readonly T[]): T {
    return items[this.whole(0, items.length - 1)]!;
  }
}

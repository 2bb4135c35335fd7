import { createHash, randomBytes } from 'node:crypto';
import type { Random } from '../../base/random.ts';

/**
 * The same numbers for the same seed on every machine: SHA-256 over seed and counter. Slow beside
 * other generators, but nothing here draws more than some thousand numbers a second.
 */
export function seededRandom(seed: string): Random {
  let drawn = 0;
  const next = (): bigint => {
    const digest = createHash('sha256').update(`${seed}/${drawn}`).digest();
    drawn++;
    return digest.readBigUInt64LE();
  };
  return {
    float: () => Number(next() >> 11n) / 2 ** 53,
    id64() {
      const id = next();
      return id === 0n ? 1n : id;
    },
  };
}

/** The seed of this run: STARFERRY_SEED to replay one, else a fresh one. Printed either way. */
export function seedOfRun(): string {
  const seed = process.env['STARFERRY_SEED'] ?? randomBytes(4).toString('hex');
  console.log(`seed ${seed} (replay with STARFERRY_SEED=${seed})`);
  return seed;
}

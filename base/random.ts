import { randomBytes } from 'node:crypto';

/** Chance is an argument, so that a failing run can be replayed from its seed. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform over the unsigned 64-bit integers except 0, which stands for "none" on the wire. */
  id64(): bigint;
}

export const systemRandom: Random = {
  float: Math.random,
  id64() {
    for (;;) {
      const id = randomBytes(8).readBigUInt64LE();
      if (id !== 0n) return id;
    }
  },
};

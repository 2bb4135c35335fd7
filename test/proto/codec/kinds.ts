import type { Random } from '../../../base/random.ts';

/** The next value of a series of some kind, as a double or as 64 bits. */
export type Source = () => number | bigint;

const STALE = 0x7ff0000000000002n;

/** Values that have broken codecs before. */
export const ODD_VALUES: readonly bigint[] = [
  STALE,
  0x7ff8000000000001n,
  0x7ff4000000000000n,
  0xfff8000000000000n,
  0xffffffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x0000000000000000n,
  0x8000000000000000n,
  0x0000000000000001n,
  0x800fffffffffffffn,
  0x0010000000000000n,
  0x7fefffffffffffffn,
  0x433fffffffffffffn,
  0x4340000000000000n,
  0xc3e0000000000000n,
];

/** Kinds of series as they occur, and some that do not. */
export const KINDS: Record<string, (random: Random) => Source> = {
  constant: (random) => {
    const value = whole(random, 1e6);
    return () => value;
  },
  counter: (random) => {
    let value = whole(random, 1e9);
    return () => (value += random.float() < 0.3 ? 0 : whole(random, 1000));
  },
  'counter with resets': (random) => {
    let value = 0;
    return () => (value = random.float() < 0.05 ? 0 : value + whole(random, 50));
  },
  'counter of bytes': (random) => {
    let value = whole(random, 1e14);
    return () => (value += whole(random, 64) * 4096);
  },
  'counter beyond 2^53': (random) => {
    let value = 2 ** 60;
    return () => (value += whole(random, 1000) * 2 ** 20);
  },
  'gauge of decimals': (random) => {
    const places = whole(random, 9);
    return () => Number((random.float() * 100 - 50).toFixed(places));
  },
  'sum of seconds': (random) => {
    let value = 0;
    return () => (value += whole(random, 1e6) / 1e6);
  },
  'random walk': (random) => {
    let value = 0;
    return () => (value += random.float() - 0.5);
  },
  noise: (random) => () => random.float() * 2 ** whole(random, 60),
  'random bits': (random) => () => random.id64(),
  'odd values': (random) => () => ODD_VALUES[whole(random, ODD_VALUES.length)]!,
  'comes and goes': (random) => {
    const counter = KINDS['counter']!(random);
    return () => (random.float() < 0.2 ? STALE : counter());
  },
  denormals: (random) => () => whole(random, 1000) * 2 ** -1074,
  'powers of two': (random) => () => 2 ** (whole(random, 2000) - 1000),
};

/** A whole number from 0 up to, not including, `end`. */
export function whole(random: Random, end: number): number {
  return Math.floor(random.float() * end);
}

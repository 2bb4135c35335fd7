import { scratchBits, scratchDouble } from './codec-fixture.ts';

/** High and low half of doubles that an arithmetic codec may trip over. */
export const SPECIAL_BITS: readonly (readonly [number, number])[] = [
  [0x7ff00000, 2], // stale marker
  [0x7ff00000, 1],
  [0x7ff80000, 0],
  [0x7ff80000, 1],
  [0xfff80000, 5],
  [0x7ff00000, 0], // +Inf
  [0xfff00000, 0], // -Inf
  [0x80000000, 0], // -0
  [0, 0],
  [0, 1], // the smallest denormal
  [0x80000000, 1],
  [0x000fffff, 0xffffffff], // the largest denormal
  [0x7fefffff, 0xffffffff], // the largest double
  [0x43400000, 0], // 2^53
  [0x43400000, 1],
  [0xc3400000, 7],
  [0x431c6bf5, 0x26340000], // 2e15
  [0x431c6bf5, 0x2633fff8],
];

/** How values of a kind move: leaves the next value of the one in the scratch there. */
type Move = (random: () => number) => void;

export const MOVES: Readonly<Record<string, Move>> = {
  counter: (random) => {
    scratchDouble[0]! += Math.floor(random() * 1000);
  },
  'counter with resets': (random) => {
    scratchDouble[0] = random() < 0.05 ? 0 : scratchDouble[0]! + Math.floor(random() * 1e6);
  },
  gauge: (random) => {
    scratchDouble[0] = (random() - 0.5) * 10 ** Math.floor(random() * 40 - 20);
  },
  decimal: (random) => {
    scratchDouble[0] = Math.round(random() * 1e6) / 10 ** Math.floor(random() * 10);
  },
  'accumulated decimal': (random) => {
    scratchDouble[0]! += Math.round(random() * 1e6) / 1e9;
  },
  pages: (random) => {
    scratchDouble[0] = 4096 * Math.floor(random() * 1e9);
  },
  'random bits': (random) => {
    scratchBits[0] = random() * 2 ** 32;
    scratchBits[1] = random() * 2 ** 32;
  },
  denormal: (random) => {
    scratchBits[0] = random() * 2 ** 32;
    scratchBits[1] = (random() * 2 ** 20) | (random() < 0.5 ? 0x80000000 : 0);
  },
  'large whole': (random) => {
    scratchDouble[0] = Math.floor((random() - 0.5) * 2 ** 55);
  },
  'about 2e15': (random) => {
    scratchDouble[0] = Math.floor(random() * 4) * 1e15 * (random() < 0.5 ? -1 : 1);
    scratchDouble[0]! += Math.floor(random() * 1e3);
  },
  negated: () => {
    scratchDouble[0] = -scratchDouble[0]!;
  },
  special: (random) => {
    const [high, low] = SPECIAL_BITS[Math.floor(random() * SPECIAL_BITS.length)]!;
    scratchBits[0] = low;
    scratchBits[1] = high;
  },
};

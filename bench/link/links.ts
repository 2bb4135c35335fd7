import type { LinkSettings, LinkStep } from './bad-link.ts';

/** A link and what becomes of it in the course of a run. */
export interface Link {
  name: string;
  /** For people, without figures that stand in the settings. */
  like: string;
  settings: LinkSettings;
  /** How long samples are taken. */
  seconds: number;
  /** What changes in a run of so many seconds. */
  steps(seconds: number): LinkStep[];
}

/** Loss comes in bursts of four packets on average wherever there is any. */
const BURST = 4;

const mobile: LinkSettings = { rate: 1e6, delay: 0.15, queue: 64_000, loss: 0.01, burst: BURST };

/** A link that spoils nothing, for what comes before the part that is measured. */
export const CLEAN: Required<LinkSettings> = {
  rate: 20e6,
  delay: 0.02,
  queue: 1_000_000,
  loss: 0,
  burst: 1,
  fade_share: 0,
  fade: 0.4,
  up: true,
};

export const LINKS: readonly Link[] = [
  { name: 'a', like: 'mobile', settings: mobile, seconds: 300, steps: () => [] },
  {
    name: 'b',
    like: 'satellite',
    settings: { rate: 128e3, delay: 0.3, queue: 32_000, loss: 0.03, burst: BURST },
    seconds: 300,
    steps: () => [],
  },
  {
    name: 'c',
    like: 'poor radio',
    settings: { rate: 64e3, delay: 0.3, queue: 16_000, loss: 0.05, burst: BURST },
    seconds: 300,
    steps: () => [],
  },
  {
    name: 'd',
    like: 'as a, 40 s up, 20 s down, in turn',
    settings: mobile,
    // Six returns, and time to see what follows the last one.
    seconds: 390,
    steps: (seconds) => flapping(seconds, 40, 20),
  },
  {
    name: 'e',
    like: 'as a, cut for five sevenths of the time, from the first seventh on',
    settings: mobile,
    seconds: 840,
    steps: (seconds) => [
      [seconds / 7, { up: false }],
      [(seconds * 6) / 7, { up: true }],
    ],
  },
];

/** @throws Error naming one that is not there */
export function linkNamed(name: string): Link {
  const link = LINKS.find((one) => one.name === name);
  if (link === undefined) {
    throw new Error(`link ${name}: there are ${LINKS.map((one) => one.name).join(', ')}`);
  }
  return link;
}

/** For people: `128 kbit/s, 300 ms one way, 3 % loss in bursts of 4, queue 32 kB`. */
export function describeSettings({
  rate = 0,
  delay = 0,
  queue = 0,
  ...rest
}: LinkSettings): string {
  const { loss = 0, burst = 1 } = rest;
  const speed = rate >= 1e6 ? `${rate / 1e6} Mbit/s` : `${rate / 1e3} kbit/s`;
  const lossy = loss === 0 ? 'no loss' : `${loss * 100} % loss in bursts of ${burst}`;
  return `${speed}, ${delay * 1000} ms one way, ${lossy}, queue ${queue / 1000} kB`;
}

function flapping(seconds: number, up: number, down: number): LinkStep[] {
  const steps: LinkStep[] = [];
  for (let at = up; at < seconds; at += up + down) {
    steps.push([at, { up: false }], [at + down, { up: true }]);
  }
  return steps;
}

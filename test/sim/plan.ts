import type { PackingOptions } from '../../agent/packing.ts';
import type { Semantics } from '../tools/checked-samples.ts';
import type { Chance } from './chance.ts';

/** Things that happen to the whole system, one at a time, beside what happens to requests. */
export const EVENTS = [
  'agent crash',
  'hub crash',
  'hub data deleted',
  'link outage',
  'destination outage',
  'clock step',
  'restore',
  'clone',
  'damage',
  'new epoch',
  'two hubs',
  /** The files of the agent are taken away while it has them open. */
  'files taken',
  /** One of them is cut short. */
  'files emptied',
  'hub damage',
  /** Machines with such a clock may have another error after each start. */
  'wrong clock',
  'wrong hub clock',
  /** Other writers are so far ahead that what is an hour behind them is refused. */
  'head moved',
] as const;
export type EventName = (typeof EVENTS)[number];

/** Probabilities of what may happen to one request on the link; the rest arrives as it should. */
export interface LinkFaults {
  /** Never arrives, and nobody says so: the agent waits until its time limit. */
  lost: number;
  /** The connection breaks in the middle of the body. */
  cut: number;
  /** Arrives, yet the answer does not: the connection breaks or is half open. */
  answerLost: number;
  /** Arrives only when the agent has given it up, behind what was sent later. */
  late: number;
  /** Nothing moves for a while, of the body or of the answer; the body may never arrive. */
  stalled: number;
  /** Arrives a second time. */
  twice: number;
  /** A copy of it with a damaged samples section arrives first. */
  damaged: number;
  /** A proxy answers in the hub's place. */
  proxied: number;
}

/** Probabilities of what may happen to one request to the destination. */
export interface DestinationFaults {
  slow: number;
  /** 503 or 429; nothing is stored. */
  busy: number;
  /** 500 after a part was stored, as far as the destination can store parts. */
  failing: number;
  /** No answer in time; the samples may be stored. */
  timeout: number;
  /** The connection breaks, before or after the samples were stored. */
  broken: number;
  /** 401: an operator has to look at it. */
  misconfigured: number;
}

/** A tenant that the destination refuses for long, while it takes its neighbours. */
export interface Blockade {
  /** As the agent names it. */
  tenant: string;
  /** 429, 401, 403; or too many HA clusters, which concerns all but one of the tenant only. */
  how: 'rate' | 'credentials' | 'forbidden' | 'clusters';
}

/** What one seed is about: sizes, limits, and which faults may happen. */
export interface Plan {
  /** How long faults go on, in virtual ms. */
  faultsMs: number;
  /** As the agent names them; the first is its default. */
  tenants: string[];
  sendEveryMs: number;
  batch: { maxDelayMs: number; samplesMax: number };
  order: 'oldest_first' | 'live_first';
  packing: PackingOptions;
  buffer: { bytesMax: number; ageMaxMs: number; whenFull: 'reject' | 'drop_oldest' };
  hub: {
    decodedBytesMax: number;
    heldBytesMax: number;
    /** Samples further ahead stay with the agent; 0: none does. */
    aheadMaxMs: number;
    lanes: number;
    /** Requests that may be spent on finding who is guilty of a partial refusal. */
    searchesPerMinute: number;
    samplesPerRequestMax: number;
    /** Probability that its disk takes nothing, each time. */
    diskFull: number;
  };
  destination: {
    semantics: Semantics;
    /** One sample in so many is refused for good; 0: none. */
    refusedEvery: number;
    /** Samples that are hours old cost their TimeSeries entry. */
    refusesOld: boolean;
    samplesPerBodyMax: number;
    faults: DestinationFaults;
  };
  /** What senders write beside samples of their time. */
  odd: {
    /** Series of an HA pair, in two clusters. */
    clusters: boolean;
    /** Every so manieth exemplar is one that Cortex refuses; 0: none. */
    exemplarEvery: number;
    /** Every so manieth sample is hours old or of the future; 0: none. */
    timestampEvery: number;
  };
  /** From the beginning until everything else is calm; undefined: none. */
  blockade: Blockade | undefined;
  link: LinkFaults;
  /** What the link gives to one body, and what the agent makes of that. */
  narrow: { bytesPerSecond: number; bodyBytes: number; packsMax: number; liveMax: number };
  /** Mean time between two events, in virtual ms. */
  eventEveryMs: number;
  events: EventName[];
}

/** More than a simulation needs: what is refused is known sample by sample. */
const SEARCHES_PER_MINUTE = 6000;
const PAGE_BYTES = 16_384;

/** Draws a plan: every kind of fault is left out in half of the seeds, so that none hides another. */
export function drawPlan(chance: Chance): Plan {
  const semantics = chance.pick<Semantics>(['accepting', 'cortex', 'cortex', 'prometheus']);
  const odd = drawOdd(chance, semantics);
  const tenants = ['', 'second', 'third'].slice(0, chance.whole(1, 3));
  return {
    faultsMs: chance.between(40_000, 150_000),
    tenants,
    sendEveryMs: chance.between(500, 3000),
    batch: { maxDelayMs: chance.between(200, 5000), samplesMax: chance.whole(10, 300) },
    // No order can be expected of a destination that refuses what is out of order.
    order: semantics === 'accepting' ? chance.pick(['oldest_first', 'live_first']) : 'oldest_first',
    packing: {
      samplesMax: chance.whole(5, 200),
      bytesMax: 2 ** 18,
      samplesPerSeriesMin: chance.pick([0, 20]),
      severalSamplesMax: chance.whole(20, 1000),
      severalSegmentsMax: chance.whole(2, 50),
      ageMinMs: chance.pick([500, 5000, 30_000]),
      checkEveryMs: chance.between(200, 3000),
    },
    buffer: drawBufferLimits(chance),
    hub: {
      // The last one is less than many packs hold, and more than any segment.
      decodedBytesMax: chance.pick([2 ** 20, 8000, 2000]),
      heldBytesMax: chance.pick([2 ** 20, 200_000]),
      aheadMaxMs: chance.pick([300_000, 0]),
      lanes: chance.whole(1, 4),
      searchesPerMinute: chance.pick([SEARCHES_PER_MINUTE, SEARCHES_PER_MINUTE, 0]),
      samplesPerRequestMax: chance.whole(3, 60),
      diskFull: chance.maybe(0.2) ? 0.3 : 0,
    },
    destination: {
      semantics,
      refusedEvery: semantics !== 'accepting' && chance.maybe(0.4) ? chance.whole(3, 60) : 0,
      refusesOld: chance.maybe(0.5),
      samplesPerBodyMax: chance.pick([Number.POSITIVE_INFINITY, 20]),
      faults: drawRates(chance, DESTINATION_RATES),
    },
    odd,
    blockade: drawBlockade(chance, tenants, odd),
    link: drawRates(chance, LINK_RATES),
    narrow: {
      bytesPerSecond: chance.pick([Number.POSITIVE_INFINITY, 2000, 300]),
      bodyBytes: chance.pick([Number.POSITIVE_INFINITY, 1000, 200]),
      packsMax: chance.whole(1, 6),
      liveMax: chance.whole(1, 4),
    },
    eventEveryMs: chance.between(5000, 20_000),
    events: EVENTS.filter(() => chance.maybe(0.5)),
  };
}

/** Other destinations keep everything, or nothing behind a sample of next year. */
function drawOdd(chance: Chance, semantics: Semantics): Plan['odd'] {
  const isCortex = semantics === 'cortex';
  return {
    clusters: isCortex && chance.maybe(0.3),
    exemplarEvery: isCortex && chance.maybe(0.5) ? chance.whole(1, 5) : 0,
    timestampEvery: isCortex && chance.maybe(0.4) ? chance.whole(10, 100) : 0,
  };
}

function drawBlockade(
  chance: Chance,
  tenants: readonly string[],
  { clusters }: Plan['odd'],
): Plan['blockade'] {
  const tenant = chance.pick(tenants);
  const how = chance.pick(['rate', 'credentials', 'forbidden', 'clusters'] as const);
  // Somebody has to be there who is not blocked.
  const isSense = how === 'clusters' ? clusters : tenants.length > 1;
  return isSense && chance.maybe(0.5) ? { tenant, how } : undefined;
}

/** An empty buffer has 16 pages, the series of a run take up to two more. */
function drawBufferLimits(chance: Chance): Plan['buffer'] {
  const isSmall = chance.maybe(0.3);
  return {
    bytesMax: (isSmall ? chance.whole(17, 20) : 1000) * PAGE_BYTES,
    ageMaxMs: chance.maybe(0.3) ? chance.between(15_000, chance.pick([60_000, 180_000])) : 0,
    whenFull: chance.pick(['reject', 'drop_oldest']),
  };
}

/** The highest probability of each fault. */
const LINK_RATES: LinkFaults = {
  lost: 0.15,
  cut: 0.2,
  answerLost: 0.2,
  late: 0.1,
  stalled: 0.2,
  twice: 0.3,
  damaged: 0.1,
  proxied: 0.1,
};
const DESTINATION_RATES: DestinationFaults = {
  slow: 0.2,
  busy: 0.3,
  failing: 0.2,
  timeout: 0.1,
  broken: 0.2,
  misconfigured: 0.02,
};

function drawRates<Rates extends { [name in keyof Rates]: number }>(
  chance: Chance,
  highest: Rates,
): Rates {
  const rates = { ...highest };
  for (const name of Object.keys(highest) as (keyof Rates)[]) {
    const rate = chance.maybe(0.5) ? chance.between(0, highest[name]) : 0;
    rates[name] = rate as Rates[typeof name];
  }
  return rates;
}

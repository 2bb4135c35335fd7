import type { Seconds } from './arrivals.ts';
import { median } from './percentile.ts';
import type { Row } from './row.ts';

/** Something the product is to reach on these links, and what a run has shown. */
export interface Goal {
  what: string;
  value: Seconds;
  /** The most that is good, or the least. */
  bound: { most: number } | { least: number };
  isMet: boolean;
}

/** The goals on which these runs have something to say. */
export function goalsOf(rows: readonly Row[]): Goal[] {
  return rows
    .filter(({ contender }) => contender.startsWith('starferry'))
    .flatMap((row) => [...integrityGoals(row), ...scenarioGoals(row)]);
}

/** Of every run, whatever the link. */
function integrityGoals({ scenario, link, title, contender, arrivals }: Row): Goal[] {
  const where = `${scenario} ${link}, ${title}`;
  const { expected, arrived, doubled, outOfOrder, wrong, unknown } = arrivals;
  const isOrdered = contender !== 'starferry-live';
  return [
    atMost(`${where}: samples missing`, expected - arrived, 0),
    atMost(`${where}: samples wrong, unknown or doubled`, wrong + unknown + doubled, 0),
    ...(isOrdered ? [atMost(`${where}: samples out of order`, outOfOrder, 0)] : []),
  ];
}

function scenarioGoals(row: Row): Goal[] {
  const { arrivals, afterReturn, sends, link, title } = row;
  switch (row.scenario) {
    case 'table':
      return tableGoals(row);
    case 'slow':
      return [
        atMost(`${link}: sends of a segment`, sends.sendsMax, 2),
        atMost(`${link}: s until nothing is overdue`, arrivals.returns.at(-1)?.caughtUp, 600),
      ];
    case 'recover':
      return [
        atMost(`${link}, backlog: s until it is gone`, arrivals.returns.at(-1)?.caughtUp, 180),
        atLeast(`${link}, backlog: share of the rate used`, afterReturn?.use, 0.85),
      ];
    case 'packs': {
      const { bytes = 0, samples = 0 } = afterReturn ?? {};
      return [atMost('packs: B/sample', samples === 0 ? null : bytes / samples, 0.4)];
    }
    case 'addresses':
      return [atMost(`${link}: s until the first samples`, arrivals.firstArrival, 15)];
    case 'nginx':
      return [];
    default:
      throw new Error(`${title}: no such scenario as ${row.scenario}`);
  }
}

const BYTES_PER_SAMPLE = new Map([
  ['starferry', 0.75],
  ['starferry-tls', 0.9],
]);

function tableGoals({ link, contender, title, arrivals, ...row }: Row): Goal[] {
  const where = `${link}, ${title}`;
  const fresh = arrivals.returns.map((one) => one.fresh ?? Number.POSITIVE_INFINITY);
  const bytes = BYTES_PER_SAMPLE.get(contender);
  const goals: Goal[] = [];
  if (link === 'b' && bytes !== undefined) {
    goals.push(atMost(`${where}: B/sample`, row.bytesPerSample, bytes));
  }
  if ('abc'.includes(link)) goals.push(atMost(`${where}: SYNs a minute`, row.synsPerMinute, 1));
  if (link === 'd' && contender !== 'starferry-live') {
    goals.push(atMost(`${where}: s from return to fresh samples, median`, median(fresh), 3));
    goals.push(atMost(`${where}: s from return to fresh samples, worst`, Math.max(...fresh), 6));
  }
  if (link === 'e' && contender === 'starferry-live') {
    goals.push(atMost(`${where}: s from return to fresh samples`, fresh[0], 3));
  }
  return goals;
}

function atMost(what: string, value: number | null | undefined, most: number): Goal {
  return { what, value: value ?? null, bound: { most }, isMet: value != null && value <= most };
}

function atLeast(what: string, value: number | null | undefined, least: number): Goal {
  return { what, value: value ?? null, bound: { least }, isMet: value != null && value >= least };
}

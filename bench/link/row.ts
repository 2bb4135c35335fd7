import { assert } from '../../base/assert.ts';
import type { ArrivalReport } from './arrivals.ts';
import type { LinkCounts } from './bad-link.ts';
import type { Case } from './cases.ts';
import type { RunResult } from './run.ts';
import type { SendCounts } from './send-counter.ts';

/** What is kept of a run. Times in seconds; null: has not happened. */
export interface Row {
  scenario: string;
  link: string;
  like: string;
  contender: string;
  title: string;
  version: string;
  machine: string;
  /** Of the samples. */
  seconds: number;
  series: number;
  seed: number;
  /** How many runs shared the machine. */
  parallel: number;
  /** IP bytes on the link, headers, acknowledgements and what was sent again included. */
  bytesUp: number;
  bytesDown: number;
  /** Of samples that arrived; null: none has. */
  bytesPerSample: number | null;
  /** Attempts of the sender to open a connection that were on the link. */
  synsPerMinute: number;
  arrivals: ArrivalReport;
  /** Latest delivery of a request to the sender. */
  feedLate: number;
  sends: SendCounts;
  /** What followed the last moment at which there was no link; absent without one. */
  afterReturn?: AfterReturn;
}

export interface AfterReturn {
  /** From the return until nothing was overdue, or else to the end. */
  seconds: number;
  /** Share of the link's rate that was used meanwhile, upwards. */
  use: number;
  /** From the return to the end of the run, both ways. */
  bytes: number;
  /** Samples that arrived meanwhile. */
  samples: number;
}

export interface Circumstances {
  machine: string;
  seconds: number;
  series: number;
  seed: number;
  parallel: number;
}

/** The figures of a run. */
export function rowOf(one: Case, result: RunResult, circumstances: Circumstances): Row {
  const { counts, arrivals } = result;
  const [bytesUp, bytesDown] = [counts.up.bytes, counts.down.bytes];
  const afterReturn = figuresAfterReturn(one, result, circumstances.seconds);
  return {
    scenario: one.scenario,
    link: one.link,
    like: one.like,
    contender: one.contender.name,
    title: one.contender.title,
    version: result.version,
    ...circumstances,
    ...{ bytesUp, bytesDown },
    bytesPerSample: arrivals.arrived === 0 ? null : (bytesUp + bytesDown) / arrivals.arrived,
    synsPerMinute: counts.up.syns / (result.lasted / 60),
    arrivals,
    feedLate: result.feed.lateMax,
    sends: result.sends,
    ...(afterReturn === undefined ? {} : { afterReturn }),
  };
}

/** Of the last return; undefined when the link was never cut, or never came back. */
function figuresAfterReturn(
  one: Case,
  { history, counts, arrivals, startMs }: RunResult,
  seconds: number,
): AfterReturn | undefined {
  const last = arrivals.returns.at(-1);
  if (last === undefined) return undefined;
  const rate = rateAtEnd(one, seconds);
  const fromMs = startMs + last.at * 1000;
  const lasted = Math.min(last.caughtUp ?? Number.POSITIVE_INFINITY, (counts.atMs - fromMs) / 1000);
  const [from, to] = [countsAt(history, fromMs), countsAt(history, fromMs + lasted * 1000)];
  const usedSeconds = Math.max(1, (to.atMs - fromMs) / 1000);
  return {
    seconds: lasted,
    use: ((to.up.bytes - from.up.bytes) * 8) / (rate * usedSeconds),
    bytes: counts.up.bytes + counts.down.bytes - from.up.bytes - from.down.bytes,
    samples: last.arrived,
  };
}

function rateAtEnd(one: Case, seconds: number): number {
  const steps = one.steps(seconds).map(([, settings]) => settings);
  const rate = [one.settings, ...steps].findLast((settings) => settings.rate !== undefined)?.rate;
  return rate ?? Number.NaN;
}

/** The last counts up to a moment: of one in a cut they are exact. */
export function countsAt(history: readonly LinkCounts[], ms: number): LinkCounts {
  const counts = history.findLast(({ atMs }) => atMs <= ms) ?? history[0];
  assert(counts !== undefined, 'a run without a count');
  return counts;
}

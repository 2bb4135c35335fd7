import { systemClock } from '../../base/clock.ts';
import { until } from '../../test/tools/until.ts';
import { Workspace } from '../../test/tools/workspace.ts';
import type { ArrivalReport } from './arrivals.ts';
import { BadLink, type LinkCounts, type LinkSettings, type LinkStep } from './bad-link.ts';
import type { Contender } from './contenders.ts';
import type { FeedReport } from './feeder.ts';
import type { LoadOptions } from './load.ts';
import { makeEnds } from './namespaces.ts';
import { type Place, RECEIVER_PORT, type Sender } from './place.ts';
import type { SendCounts } from './send-counter.ts';
import { StationProcess } from './station-process.ts';

export interface RunOptions {
  contender: Contender;
  load: LoadOptions;
  /** From before the contender starts. */
  settings: LinkSettings;
  /** From the start of the load. */
  steps: readonly LinkStep[];
  /** How long to wait, after the load, for what has not arrived. */
  drainSeconds: number;
  /** Done when the load is at its end, before what has not arrived is waited for. */
  beforeDrain?(run: Running): Promise<void>;
  /** From so many seconds after the start a counter before the hub counts. */
  countSendsFrom?: number;
  seed: number;
  congestion: string;
}

/** A run in which the contender is at work. */
export interface Running extends Place {
  link: BadLink;
  sender: Sender;
}

export interface RunResult {
  version: string;
  /** Of the link, from its making to the end of the run. */
  counts: LinkCounts;
  /** Counts of every second, the first one at the start of the load. */
  history: LinkCounts[];
  arrivals: ArrivalReport;
  feed: FeedReport;
  /** In seconds, from the start of the load to the end of the run. */
  lasted: number;
  /** Nothing unless the contender has put a counter before its hub. */
  sends: SendCounts;
  /** When the load began, in ms since the Unix epoch. */
  startMs: number;
}

/** Until everything is ready at both ends, before the first sample. */
const HEAD_START_MS = 500;
/** Time for the answer to what arrived last. */
const ANSWER_MS = 3000;
const SECOND_MS = 1000;
/** A load that is so late is not taken at all. */
const FEED_LATE_MS_MAX = 300_000;
const LOG_TAIL_CHARACTERS = 3000;

/**
 * One contender on one link: makes both, feeds, waits for what has not arrived and compares.
 *
 * @throws Error with the end of the contender's log when it does not take the load
 */
export async function runOnce(options: RunOptions): Promise<RunResult> {
  const workspace = new Workspace('bench-link');
  try {
    const ends = makeEnds(workspace, options.congestion);
    const link = await BadLink.start(workspace, ends, options.seed);
    link.take([[0, options.settings]]);
    const near = new StationProcess(workspace, ends.near);
    const far = new StationProcess(workspace, ends.far);
    const { load } = options;
    await Promise.all([
      near.call('prepareFeed', load),
      far.call('receive', { load, port: RECEIVER_PORT }),
    ]);
    const place = { workspace, ends, near, far };
    const sender = await options.contender.start(place);
    return await measure({ ...place, link, sender }, options);
  } finally {
    await workspace.close();
  }
}

async function measure(run: Running, options: RunOptions): Promise<RunResult> {
  const { link, near, far, sender } = run;
  const startMs = systemClock.now() + HEAD_START_MS;
  await far.call('begin', startMs);
  await far.call('countSendsFrom', startMs + (options.countSendsFrom ?? 0) * SECOND_MS);
  const feeding = near.call('feed', { url: sender.pushUrl, startMs });
  await systemClock.sleep(startMs - systemClock.now());
  link.take(options.steps);
  const history: LinkCounts[] = [];
  const recording = new AbortController();
  const recorded = record(link, history, recording.signal);
  let feed: FeedReport;
  try {
    // A recording that fails is told of once the load is at its end.
    recorded.catch(() => {});
    feed = await fedInTime(feeding, run, options.load.seconds * SECOND_MS);
    await options.beforeDrain?.(run);
    await untilArrived(run, options.drainSeconds);
    await systemClock.sleep(ANSWER_MS);
  } finally {
    recording.abort();
    await recorded;
  }
  const counts = await link.counts();
  return {
    version: sender.version,
    ...{ counts, history, feed, startMs },
    arrivals: await far.call('report', link.returnsMs),
    sends: await far.call('sendCounts'),
    lasted: (counts.atMs - startMs) / SECOND_MS,
  };
}

async function record(link: BadLink, history: LinkCounts[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    history.push(await link.counts());
    await systemClock.sleep(SECOND_MS, signal);
  }
}

/** @throws Error when the sender does not take the load, or takes it far too late */
async function fedInTime(
  feeding: Promise<FeedReport>,
  { sender }: Running,
  loadMs: number,
): Promise<FeedReport> {
  const patience = new AbortController();
  const late = systemClock.sleep(loadMs + FEED_LATE_MS_MAX, patience.signal);
  const feed = await Promise.race([feeding, late]);
  patience.abort();
  if (feed !== undefined) return feed;
  const logs = sender.processes.map((process) => process.log().slice(-LOG_TAIL_CHARACTERS));
  throw new Error(`the sender does not take the load; logs end:\n${logs.join('\n---\n')}`);
}

/** What has not arrived in time stays where it is: the report tells how much. */
async function untilArrived({ far }: Running, seconds: number): Promise<void> {
  const endMs = systemClock.now() + seconds * SECOND_MS;
  await until('the end of the drain', (seconds + 60) * SECOND_MS, async () => {
    const { arrived, expected } = await far.call('progress');
    return arrived >= expected || systemClock.now() >= endMs;
  });
}

import { systemClock } from '../../base/clock.ts';
import { chainTenant } from '../e2e/chain.ts';
import { type Journey, whileWriting } from '../recovery/journey.ts';
import { readMetric } from '../recovery/read-metric.ts';
import { until } from '../tools/until.ts';

/** Something that is broken again and again while samples flow. */
export interface FaultCase {
  name: string;
  attempts: number;
  /** Whether samples may be lost, as long as the agent accounts for them. */
  mayLose?: boolean;
  /** What goes on beside the attempts until `signal` is aborted. */
  meanwhile?(journey: Journey, signal: AbortSignal): Promise<void>;
  /** Breaks it and mends it. */
  attempt(journey: Journey, attempt: number): Promise<void>;
}

export interface FaultResult {
  name: string;
  attempts: number;
  acknowledged: number;
  /** Acknowledged, and neither at the destination nor accounted for by the agent. */
  lost: number;
  /** Acknowledged, not at the destination, and accounted for. */
  accounted: number;
  /** Arrived more than once, unchanged. */
  duplicated: number;
  outOfOrder: number;
  seconds: number;
  problems: string[];
}

const DRAIN_MS_MAX = 180_000;

/** Lets a case happen to a journey and says what became of the samples. */
export async function suffer(fault: FaultCase, journey: Journey): Promise<FaultResult> {
  const startedMs = systemClock.now();
  const reported = new Map<unknown, number>();
  const readLosses = async (): Promise<void> => {
    reported.set(journey.agent.process, await lossesOf(journey));
  };
  await whileWriting(journey, async () => {
    const over = new AbortController();
    const beside = fault.meanwhile?.(journey, over.signal);
    try {
      for (let attempt = 0; attempt < fault.attempts; attempt++) {
        await fault.attempt(journey, attempt);
        await readLosses();
      }
    } finally {
      over.abort();
      await beside;
    }
  });
  await until('the buffer to be empty', DRAIN_MS_MAX, () => isDrained(journey));
  await readLosses();
  const samples = reported.values().reduce((sum, one) => sum + one, 0);
  return judge(fault, journey, samples, (systemClock.now() - startedMs) / 1000);
}

async function isDrained({ agent }: Journey): Promise<boolean> {
  return (await readMetric(agent.url, 'starferry_agent_buffer_samples')) === 0;
}

function judge(fault: FaultCase, journey: Journey, reported: number, seconds: number): FaultResult {
  const { destination, writer } = journey;
  const { missing, strange } = compare(journey);
  const accounted = Math.min(missing, reported);
  const result: FaultResult = {
    name: fault.name,
    attempts: fault.attempts,
    acknowledged: writer.acknowledged,
    lost: missing - accounted,
    accounted,
    duplicated: destination.repeated,
    outOfOrder: destination.outOfOrder.length,
    seconds,
    problems: [...destination.violations],
  };
  if (strange > 0) result.problems.push(`${strange} samples that nobody sent like this`);
  if (result.lost > 0) result.problems.push(`${result.lost} samples lost`);
  if (result.outOfOrder > 0) result.problems.push(`${result.outOfOrder} out of order`);
  if (accounted > 0 && fault.mayLose !== true) result.problems.push(`${accounted} given up`);
  return result;
}

/** What was acknowledged and is not there, and what is there otherwise than it was sent. */
function compare({ destination, writer }: Journey): { missing: number; strange: number } {
  let missing = 0;
  let strange = 0;
  const arrived = destination.samples(chainTenant);
  for (const [series, sent] of writer.expected()) {
    const found = new Map(arrived.get(series)?.map(({ timestamp, bits }) => [timestamp, bits]));
    for (const { timestamp, bits } of sent) {
      const there = found.get(timestamp);
      if (there === undefined) missing++;
      else if (there !== bits) strange++;
    }
  }
  for (const series of arrived.keys()) if (!writer.expected().has(series)) strange++;
  return { missing, strange };
}

/** Samples that the running process of the agent says it has lost. */
async function lossesOf({ agent }: Journey): Promise<number> {
  let samples = 0;
  for (const reason of ['age', 'bytes', 'parked', 'damaged', 'vanished']) {
    const name = `starferry_agent_evicted_samples_total{reason="${reason}"}`;
    samples += await readMetric(agent.url, name);
  }
  return samples;
}

import { systemClock } from '../base/clock.ts';
import { fetchMetrics } from '../demo/metrics-page.ts';
import { readProgress } from '../demo/progress.ts';
import {
  type StarferryProcess,
  startAgentProcess,
  startHubProcess,
  writeToken,
} from '../test/e2e/starferry.ts';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../test/tools/checking-destination.ts';
import { compareSamples, type SamplesBySeries } from '../test/tools/compare.ts';
import { decodeExactly, labelNotation } from '../test/tools/exact-remote-write.ts';
import { until } from '../test/tools/until.ts';
import type { Workspace } from '../test/tools/workspace.ts';
import type { CapturedRequest } from './capture.ts';
import { type LinkRecorder, startLinkRecorder } from './link-recorder.ts';

const AGENT_ID = 'bench';
const TENANT = 'bench';
const LOG_TAIL_CHARACTERS = 2000;

/** Agent and hub as processes of their own, the recorded link between them. */
export interface Ends {
  agent: StarferryProcess;
  hub: StarferryProcess;
  link: LinkRecorder;
}

/** The ends and a destination that notes every float. */
export interface Ferry extends Ends {
  destination: CheckingDestination;
}

/** @param maxDelay batch.max_delay of the agent, as in its configuration */
export async function startFerry(workspace: Workspace, maxDelay: string): Promise<Ferry> {
  const destination = await startCheckingDestination();
  workspace.onClose(() => destination.close());
  return { ...(await startEnds(workspace, maxDelay, destination.url)), destination };
}

/** @param url where the hub writes, as into a Cortex */
export async function startEnds(
  workspace: Workspace,
  maxDelay: string,
  url: string,
): Promise<Ends> {
  const tokenFile = writeToken(workspace, AGENT_ID);
  const hub = await startHubProcess(workspace, {
    name: 'hub',
    agents: [{ id: AGENT_ID, tokenFile, tenants: [TENANT] }],
    destination: { kind: 'cortex', url },
  });
  const link = await startLinkRecorder(workspace, hub.port);
  const agent = await startAgentProcess(workspace, {
    id: AGENT_ID,
    tokenFile,
    hubUrl: `http://127.0.0.1:${link.port}`,
    settings: { batch: { max_delay: maxDelay } },
  });
  return { agent, hub, link };
}

/**
 * Sends requests as one sender would: in order, each after the answer to the one before, not
 * earlier than it arrived in the capture, whose time passes `speed` times as fast.
 *
 * @throws Error when an answer is not 204
 */
export async function replay(
  { agent }: Ends,
  requests: readonly CapturedRequest[],
  speed: number,
): Promise<void> {
  const startedAtMs = systemClock.now();
  const firstMs = requests[0]?.arrivedAtMs ?? 0;
  for (const { arrivedAtMs, body } of requests) {
    const dueMs = startedAtMs + (arrivedAtMs - firstMs) / speed;
    await systemClock.sleep(Math.max(0, dueMs - systemClock.now()));
    const response = await post(agent, body);
    const text = await response.text();
    if (response.status !== 204) throw new Error(`the agent answered ${response.status}: ${text}`);
  }
}

/** @throws Error with what the agent logged when it gives no answer */
async function post(agent: StarferryProcess, body: Uint8Array): Promise<Response> {
  try {
    return await fetch(`${agent.url}/api/v1/push`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        'x-prometheus-remote-write-version': '0.1.0',
      },
      body: new Uint8Array(body),
    });
  } catch (cause) {
    const log = agent.process.log().slice(-LOG_TAIL_CHARACTERS);
    throw new Error(`no answer from the agent, whose log ends:\n${log}`, { cause });
  }
}

/** Waits until the agent knows that the destination has `samples` samples in all. */
export async function untilDelivered({ agent }: Ends, samples: number): Promise<void> {
  await until(`${samples} samples to be acknowledged`, 120_000, async () => {
    const page = await fetchMetrics(agent.url);
    return page.kind === 'page' && readProgress(page.metrics).deliveredSamples >= samples;
  });
}

/**
 * Compares what arrived with what the capture holds, bit for bit and in order.
 *
 * @throws Error naming the first differences
 */
export function requireDelivered(
  { destination }: Ferry,
  requests: readonly CapturedRequest[],
): void {
  const expected: SamplesBySeries = new Map();
  for (const { body } of requests) {
    for (const { labels, samples } of decodeExactly(body)) {
      const name = labelNotation(labels);
      const series = expected.get(name);
      if (series === undefined) expected.set(name, [...samples]);
      else series.push(...samples);
    }
  }
  const differences = compareSamples(expected, destination.samples(TENANT));
  differences.push(...destination.violations);
  if (differences.length > 0) throw new Error(`what arrived differs:\n${differences.join('\n')}`);
}

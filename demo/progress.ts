import type { Clock } from '../base/clock.ts';
import { fetchMetrics } from './metrics-page.ts';
import type { Metric } from './text-format.ts';

/** Counted by the agent and the hub since they started. */
export interface Progress {
  receivedSamples: number;
  /** Of the remote-write 1.0 bodies that the received samples came in. */
  receivedBytes: number;
  deliveredSamples: number;
  /** Everything on the wire of the border, headers included. */
  bytesUp: number;
  bytesDown: number;
  /** Of the tenant that is furthest behind; undefined until the hub has been offered samples. */
  lagSeconds: number | undefined;
}

const INTERVAL_MS = 5000;

/** Prints a line every five seconds until `signal`. */
export async function reportProgress(
  options: { agentUrl: string; hubUrl: string; clock: Clock; print: (line: string) => void },
  signal: AbortSignal,
): Promise<void> {
  const { agentUrl, hubUrl, clock, print } = options;
  for (;;) {
    await clock.sleep(INTERVAL_MS, signal);
    if (signal.aborted) return;
    const [agent, hub] = await Promise.all([fetchMetrics(agentUrl), fetchMetrics(hubUrl)]);
    if (agent.kind === 'failed') print(agent.message);
    else if (hub.kind === 'failed') print(hub.message);
    else print(formatProgress(readProgress([...agent.metrics, ...hub.metrics])));
  }
}

/** Reads the agent's and the hub's metrics, as any monitoring would. */
export function readProgress(metrics: readonly Metric[]): Progress {
  const values = (name: string, direction?: string) =>
    metrics
      .filter((metric) => metric.name === `starferry_${name}`)
      .filter(
        ({ labels }) =>
          direction === undefined || Object.fromEntries(labels)['direction'] === direction,
      )
      .map(({ value }) => value);
  const sum = (name: string, direction?: string) =>
    values(name, direction).reduce((total, value) => total + value, 0);
  return {
    receivedSamples: sum('agent_received_samples_total'),
    receivedBytes: sum('agent_received_bytes_total'),
    deliveredSamples: sum('agent_acknowledged_samples_total'),
    bytesUp: sum('agent_link_bytes_total', 'up'),
    bytesDown: sum('agent_link_bytes_total', 'down'),
    lagSeconds: values('hub_agent_lag_seconds').sort((a, b) => b - a)[0],
  };
}

/**
 * One line for people. Remote write 1.0 is taken at what its bodies alone came to, without the
 * headers and answers that are counted on the border: the comparison flatters it.
 */
export function formatProgress(progress: Progress): string {
  const { receivedSamples, receivedBytes, deliveredSamples, bytesUp, bytesDown } = progress;
  const parts = [
    `${formatCount(receivedSamples)} samples in`,
    `${formatCount(deliveredSamples)} delivered`,
    `border ${formatKilobytes(bytesUp)} up, ${formatKilobytes(bytesDown)} down`,
  ];
  if (receivedSamples > 0 && deliveredSamples > 0) {
    const bytesPerSample = (bytesUp + bytesDown) / deliveredSamples;
    const times = receivedBytes / receivedSamples / bytesPerSample;
    parts.push(`${bytesPerSample.toFixed(2)} B/sample`);
    parts.push(`${times.toFixed(1)} times less than remote write 1.0`);
  }
  if (progress.lagSeconds !== undefined) parts.push(`lag ${progress.lagSeconds.toFixed(1)} s`);
  return parts.join(' | ');
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

function formatKilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

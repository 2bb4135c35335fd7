import type { AgentStats } from './agent-stats.ts';

/** A value of a metric with its labels. */
export type Reading = [labels: Record<string, string>, value: number];

/** A metric of what the worker counts, read off its stats at each scrape. */
export interface WorkerMetric {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  labelNames?: string[];
  read(stats: AgentStats): Reading[];
}

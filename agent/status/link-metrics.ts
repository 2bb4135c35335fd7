import type { AgentStats } from './agent-stats.ts';
import type { Reading, WorkerMetric } from './worker-metric.ts';

type Quota = AgentStats['link']['quotas'][number];

const TRAFFICS = ['live', 'backlog'];
const REASONS = ['bandwidth', 'schedule', 'daily_quota', 'monthly_quota'];

/** What the limits of the link allow and who waits for them. */
export const LINK_METRICS: WorkerMetric[] = [
  {
    name: 'link_limit_bytes_per_second',
    type: 'gauge',
    help: 'Bandwidth towards the hub that the configuration allows at this hour; 0: not limited.',
    read: ({ link }) => [[{}, link.bytesPerSecondMax]],
  },
  {
    name: 'link_waiting_batches',
    type: 'gauge',
    help: 'Batches that wait for the link, by traffic and by what holds them. Absent: no limits.',
    labelNames: ['traffic', 'reason'],
    read: ({ link }) => (link.isLimited ? waiting(link) : []),
  },
  quotaMetric('used_bytes', 'Bytes used of the quota, both ways.', ({ usedBytes }) => usedBytes),
  quotaMetric('bytes', 'Bytes that a day or month allows, both ways.', ({ bytesMax }) => bytesMax),
  quotaMetric(
    'live_reserve_bytes',
    'Bytes of the quota that only live samples may use.',
    ({ reserveBytes }) => reserveBytes,
  ),
  quotaMetric(
    'reset_timestamp_seconds',
    'When the day or month of the quota is over.',
    ({ resetsAtMs }) => resetsAtMs / 1000,
  ),
];

function waiting(link: AgentStats['link']): Reading[] {
  return TRAFFICS.flatMap((traffic) =>
    REASONS.map((reason): Reading => {
      const waits = link.waiting.filter((wait) => wait.traffic === traffic && wait.hold === reason);
      return [{ traffic, reason }, waits.length];
    }),
  );
}

function quotaMetric(name: string, help: string, read: (quota: Quota) => number): WorkerMetric {
  return {
    name: `link_quota_${name}`,
    type: 'gauge',
    help,
    labelNames: ['period'],
    read: ({ link }) =>
      link.quotas.map((quota): Reading => [{ period: quota.period }, read(quota)]),
  };
}

import { expect, test } from 'vitest';
import { emptyShipStats } from '../../agent/ship/ship-stats.ts';
import { AgentMetrics } from '../../agent/status/agent-metrics.ts';
import type { AgentStats } from '../../agent/status/agent-stats.ts';
import { agentStatus } from '../../agent/status/agent-status.ts';

const link: AgentStats['link'] = {
  isLimited: true,
  bytesPerSecondMax: 20_000,
  isBacklogOpen: false,
  waiting: [
    { traffic: 'backlog', hold: 'schedule' },
    { traffic: 'backlog', hold: 'schedule' },
    { traffic: 'live', hold: 'bandwidth' },
  ],
  quotas: [
    {
      period: 'day',
      bytesMax: 10_000_000,
      reserveBytes: 5_000_000,
      usedBytes: 6_000_000,
      resetsAtMs: Date.parse('2026-11-06T00:00:00Z'),
    },
  ],
};

const unlimited: AgentStats['link'] = {
  isLimited: false,
  bytesPerSecondMax: 0,
  isBacklogOpen: true,
  waiting: [],
  quotas: [],
};

function sourceOf(some: AgentStats['link'], more: Partial<AgentStats> = {}) {
  const stats = async (): Promise<AgentStats> => ({
    run: '1',
    epoch: '2',
    dictionaryLength: 0,
    backlog: new Map(),
    packedSamples: 0,
    parkedSamples: 0,
    parkedBytes: 0,
    bufferBytes: 0,
    oldestTimestamp: undefined,
    losses: { samples: {}, vanishedSegments: 0, salvages: 0, salvagedSamples: 0 },
    ship: emptyShipStats(),
    linkBytes: { up: 1000, down: 100 },
    linkIpBytes: { up: 1300, down: 200 },
    link: some,
    hubUrl: 'http://127.0.0.1:1',
    clock: { aheadMs: undefined, isConfirmed: false },
    ...more,
  });
  return agentStatus('sg', new AgentMetrics(stats), { stats, isReady: () => true });
}

async function metricsOf(some: AgentStats['link']): Promise<string[]> {
  const { text } = await sourceOf(some).metrics();
  return text.split('\n').filter((line) => /^starferry_agent_link_[lqw]/.test(line));
}

test('the metrics show the limits of the link, what is used, and who waits', async () => {
  expect(await metricsOf(link)).toEqual([
    'starferry_agent_link_limit_bytes_per_second 20000',
    'starferry_agent_link_waiting_batches{traffic="live",reason="bandwidth"} 1',
    'starferry_agent_link_waiting_batches{traffic="live",reason="schedule"} 0',
    'starferry_agent_link_waiting_batches{traffic="live",reason="daily_quota"} 0',
    'starferry_agent_link_waiting_batches{traffic="live",reason="monthly_quota"} 0',
    'starferry_agent_link_waiting_batches{traffic="backlog",reason="bandwidth"} 0',
    'starferry_agent_link_waiting_batches{traffic="backlog",reason="schedule"} 2',
    'starferry_agent_link_waiting_batches{traffic="backlog",reason="daily_quota"} 0',
    'starferry_agent_link_waiting_batches{traffic="backlog",reason="monthly_quota"} 0',
    'starferry_agent_link_quota_used_bytes{period="day"} 6000000',
    'starferry_agent_link_quota_bytes{period="day"} 10000000',
    'starferry_agent_link_quota_live_reserve_bytes{period="day"} 5000000',
    'starferry_agent_link_quota_reset_timestamp_seconds{period="day"} 1793923200',
  ]);
  expect(await metricsOf(unlimited)).toEqual(['starferry_agent_link_limit_bytes_per_second 0']);
});

test('metrics and status show bytes in TCP and the estimate of IP bytes apart', async () => {
  const { text } = await sourceOf(link).metrics();
  const lines = text.split('\n').filter((line) => /^starferry_agent_link_(ip_)?bytes/.test(line));
  expect(lines).toEqual([
    'starferry_agent_link_bytes_total{direction="up"} 1000',
    'starferry_agent_link_bytes_total{direction="down"} 100',
    'starferry_agent_link_ip_bytes_total{direction="up"} 1300',
    'starferry_agent_link_ip_bytes_total{direction="down"} 200',
  ]);
  expect(await sourceOf(link).status()).toMatchObject({
    linkBytes: { up: 1000, down: 100 },
    linkIpBytes: { up: 1300, down: 200 },
  });
});

test('the status shows what is used, what is left and when it resets', async () => {
  expect(await sourceOf(link).status()).toMatchObject({
    link: {
      bytesPerSecondMax: 20_000,
      backlog: 'waits for the schedule',
      waiting: ['backlog: schedule', 'backlog: schedule', 'live: bandwidth'],
      quotas: [
        {
          period: 'day',
          bytesMax: 10_000_000,
          usedBytes: 6_000_000,
          leftBytes: 4_000_000,
          leftForBacklogBytes: 0,
          resetsAt: '2026-11-06T00:00:00.000Z',
        },
      ],
    },
  });
});

test('what is not known is absent from the metrics, and does not read as 0', async () => {
  const names = /^starferry_agent_(buffer_oldest_timestamp|clock_offset)_seconds /;
  const linesOf = async (more: Partial<AgentStats>): Promise<string[]> => {
    const { text } = await sourceOf(link, more).metrics();
    return text.split('\n').filter((line) => names.test(line));
  };
  expect(await linesOf({})).toEqual([]);
  const known = { oldestTimestamp: 1500, clock: { aheadMs: 0, isConfirmed: true } };
  expect(await linesOf(known)).toEqual([
    'starferry_agent_buffer_oldest_timestamp_seconds 1.5',
    'starferry_agent_clock_offset_seconds 0',
  ]);
});

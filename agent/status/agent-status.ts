import type { StatusSource } from '../../base/status-routes.ts';
import { formatTime } from '../../base/units.ts';
import { version } from '../../base/version.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import type { AgentStats } from './agent-stats.ts';

/** What the agent tells of itself; never a token. */
export function agentStatus(
  agentId: string,
  metrics: AgentMetrics,
  { stats, isReady }: { stats: () => Promise<AgentStats>; isReady: () => boolean },
): StatusSource {
  return {
    isReady,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
    async status() {
      const { ship, losses, backlog, oldestTimestamp, link, clock, ...rest } = await stats();
      return {
        version,
        agentId,
        ...rest,
        waitingSamples: Object.fromEntries(backlog),
        oldestWaiting: timeOrNull(oldestTimestamp),
        isRecovering: !isReady(),
        lost: losses,
        lastAnswer: timeOrNull(ship.lastAnswer?.atMs),
        lastTrouble: ship.lastTrouble?.message ?? null,
        lastTroubleAt: timeOrNull(ship.lastTrouble?.atMs),
        destination: ship.destination ?? null,
        clock: {
          offsetSeconds: clock.aheadMs === undefined ? null : clock.aheadMs / 1000,
          isConfirmed: clock.isConfirmed,
        },
        events: Object.fromEntries(ship.events),
        link: linkStatus(link),
      };
    },
  };
}

function linkStatus({ bytesPerSecondMax, isBacklogOpen, waiting, quotas }: AgentStats['link']) {
  return {
    bytesPerSecondMax,
    backlog: isBacklogOpen ? 'may begin' : 'waits for the schedule',
    waiting: waiting.map(({ traffic, hold }) => `${traffic}: ${hold}`),
    quotas: quotas.map(({ period, bytesMax, reserveBytes, usedBytes, resetsAtMs }) => ({
      period,
      bytesMax,
      usedBytes,
      leftBytes: Math.max(0, bytesMax - usedBytes),
      leftForBacklogBytes: Math.max(0, bytesMax - reserveBytes - usedBytes),
      resetsAt: timeOrNull(resetsAtMs),
    })),
  };
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : formatTime(ms);
}
